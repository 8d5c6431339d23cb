"""What programs of others say of a pushed image: skopeo, umoci and crane each pull all of it and check it their way.

`CHASSIS_TEST_SKOPEO`, `CHASSIS_TEST_UMOCI` and `CHASSIS_TEST_CRANE` are their paths. crane is Debian forky's, whose
mirror moves on: if it is gone, its launcher says so with status 69, and two opinions are left.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from chassis.oci.layout_reader import INDEX_TYPES, LayoutReader
from tests.publishing.registry_server import program, skopeo

_UNAVAILABLE = 69
_LIMIT_S = 120


@dataclass(frozen=True, slots=True)
class Access:
    """How the others get in: `docker_config` is a directory with a config.json, `certificate` the authority's PEM file;
    without one they speak plain HTTP."""

    docker_config: Path | None = None
    certificate: Path | None = None

    def environment(self, home: Path) -> dict[str, str]:
        """Nothing of this machine's but the PATH."""
        own = {"PATH": os.environ.get("PATH", ""), "HOME": str(home), "TMPDIR": str(home)}
        if self.docker_config:
            own["DOCKER_CONFIG"] = str(self.docker_config)
        if self.certificate:
            own["SSL_CERT_FILE"] = str(self.certificate)
        return own


@functools.cache
def why_no_crane() -> str:
    """Why crane cannot be asked, "" if it can."""
    done = subprocess.run(
        [program("CHASSIS_TEST_CRANE"), "--help"], capture_output=True, text=True, timeout=_LIMIT_S, check=False
    )
    return done.stderr if done.returncode == _UNAVAILABLE else ""


def assert_whole(reference: str, digest: str, access: Access | None = None) -> None:
    """The reference (`host:port/path:tag`) names an image or index of this digest that all of them find whole."""
    access = access or Access()
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        _skopeo_and_umoci(folder, reference, digest, access)
        if not why_no_crane():
            assert crane(folder, access, "digest", reference).strip() == digest
            crane(folder, access, "validate", "--remote", reference)


def crane(folder: Path, access: Access, *arguments: str) -> str:
    """Runs crane; returns its output."""
    return _run("CHASSIS_TEST_CRANE", access.environment(folder), *arguments)


def _skopeo_and_umoci(folder: Path, reference: str, digest: str, access: Access) -> None:
    flags = [f"--src-tls-verify={'true' if access.certificate else 'false'}"]
    if access.certificate:
        trusted = folder / "certificates"
        trusted.mkdir()
        shutil.copy(access.certificate, trusted / "authority.crt")
        flags.append(f"--src-cert-dir={trusted}")
    if access.docker_config:
        flags.append(f"--src-authfile={access.docker_config}/config.json")
    pulled = folder / "pulled"
    skopeo(folder, "copy", "--all", *flags, f"docker://{reference}", f"oci:{pulled}:all")
    entry = LayoutReader(pulled).entry()
    assert entry.digest == digest
    manifests = [manifest for manifest in LayoutReader(pulled).walk(entry) if manifest.blobs]
    assert manifests or entry.media_type in INDEX_TYPES
    for number, manifest in enumerate(manifests):
        index = {"schemaVersion": 2, "manifests": [manifest.descriptor.to_json() | _named("one")]}
        (pulled / "index.json").write_text(json.dumps(index))
        unpack = ("unpack", "--rootless", "--image", f"{pulled}:one", str(folder / f"unpacked{number}"))
        _run("CHASSIS_TEST_UMOCI", access.environment(folder), *unpack)


def _named(name: str) -> dict:
    return {"annotations": {"org.opencontainers.image.ref.name": name}}


def _run(variable: str, environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [program(variable), *arguments], capture_output=True, text=True, timeout=_LIMIT_S, check=False, env=environment
    )
    assert done.returncode == 0, f"{variable} {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout

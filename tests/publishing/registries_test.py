"""The same push to every registry there is: docker-registry of two releases and crane's own, each way to log in, with
TLS and without."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.publishing.certificates import Authority, new_authority
from tests.publishing.push_tool import run_tool
from tests.publishing.registry_server import CraneRegistry, RegistryServer, program
from tests.publishing.sample_images import SampleLayout
from tests.publishing.second_opinions import Access, assert_whole, why_no_crane
from tests.publishing.token_server import TokenServer

USER, PASSWORD = "ann", "se:cret"
# bcrypt of PASSWORD, cost 4
HTPASSWD = f"{USER}:$2b$04$svbfdnkpjWxSU1Ff8/WPt.kHhMsADaolARnZT.P638OpI8XXSfBqa\n"
KIB = 1 << 10


@dataclass(frozen=True, slots=True)
class Served:
    """A registry that runs, and how to get in."""

    address: str
    access: Access

    def push(self, layout: Path, name: str) -> str:
        """Pushes with the tool as `:v1`; returns the digest that it printed."""
        environment = {"DOCKER_CONFIG": str(self.access.docker_config)} if self.access.docker_config else {}
        arguments = ["push", f"--image={layout}", f"--repository={self.address}/{name}", "--tag=v1"]
        if self.access.certificate:
            arguments.append(f"--ca-file={self.access.certificate}")
        done = run_tool(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return new_authority()


def newer_registry() -> str:
    """The variable that names docker-registry of forky; skips the test if the mirror has moved on."""
    variable = "CHASSIS_NEWER_REGISTRY"
    done = subprocess.run([program(variable), "--version"], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode == 69:
        pytest.skip(done.stderr)
    return variable


@pytest.fixture(params=["none", "htpasswd", "token"])
def login(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=[False, True], ids=["http", "tls"])
def encrypted(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(params=["2.8.2", "2.8.3"])
def served(
    request: pytest.FixtureRequest, tmp_path: Path, authority: Authority, login: str, encrypted: bool
) -> Iterator[Served]:
    variable = newer_registry() if request.param == "2.8.3" else "CHASSIS_TEST_REGISTRY"
    certificate, key = authority.write(tmp_path)
    tls = {"certificate": str(certificate), "key": str(key)} if encrypted else None
    with contextlib.ExitStack() as stack:
        auth = None
        if login == "htpasswd":
            (tmp_path / "htpasswd").write_text(HTPASSWD)
            auth = {"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}}
        elif login == "token":
            tokens = stack.enter_context(
                TokenServer(authority, {USER: PASSWORD}, tls=(certificate, key) if tls else None)
            )
            auth = tokens.registry_auth(certificate)
        registry = stack.enter_context(RegistryServer(tmp_path / "registry", auth=auth, tls=tls, variable=variable))
        docker_config = tmp_path / "docker"
        docker_config.mkdir()
        secret = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        auths = {registry.address: {"auth": secret}} if auth else {}
        (docker_config / "config.json").write_text(json.dumps({"auths": auths}))
        yield Served(registry.address, Access(docker_config, certificate if encrypted else None))


def push_all(served: Served, folder: Path) -> None:
    """An image, the same after an edit, and an index, each of them looked at by the others."""
    layout = SampleLayout(folder / "image")
    base = tuple(layout.layer(size) for size in (1_500 * KIB, 20 * KIB))
    for seed in range(2):
        image = layout.image(10 + seed, shared=base)
        assert served.push(layout.finish(image), "team/image") == image["digest"]
        assert_whole(f"{served.address}/team/image:v1", image["digest"], served.access)
    index = layout.index(*(layout.image(10, architecture=name, shared=base) for name in ("amd64", "arm64")))
    assert served.push(layout.finish(index), "team/index") == index["digest"]
    assert_whole(f"{served.address}/team/index:v1", index["digest"], served.access)


def test_docker_registry(served: Served, tmp_path: Path) -> None:
    push_all(served, tmp_path)


def test_cranes_registry(tmp_path: Path) -> None:
    if reason := why_no_crane():
        pytest.skip(reason)
    with CraneRegistry(tmp_path / "registry") as registry:
        push_all(Served(registry.address, Access()), tmp_path)

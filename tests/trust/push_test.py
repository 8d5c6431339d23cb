"""One push, all of it: an index of real images with bills of materials, provenance and signatures, read by cosign
and oras.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.publishing.push_tool import run_tool
from tests.publishing.registry_server import RegistryServer
from tests.trust.referrers_registry import ReferrersRegistry
from tests.trust.signing_tools import PASSWORD, cosign, keys, run_program

KINDS = {"application/vnd.cyclonedx+json", "application/spdx+json", "application/vnd.in-toto+json"}
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PROVENANCE = "https://slsa.dev/provenance/v1"
VARYING = [
    (r"sha256:(?:[0-9a-f]{64}|[0-9a-f]{4}…)", "sha256:HEX"),
    (r"127\.0\.0\.1:\d+/[\w/]+", "REPOSITORY"),
    (r"\S*?(\w+\.pub)\b", r"\1"),
    (r"\d+(?:\.\d+)? (?:B|kB|MB|GB)", "BYTES"),
    (r"\b\d+(?:\.\d+)? s:", "SECONDS:"),
    (r"\b\d+ (uploaded|mounted|skipped)", r"N \1"),
]


def shape(line: str) -> str:
    """A line without what differs from one run to the next."""
    for pattern, replacement in VARYING:
        line = re.sub(pattern, replacement, line)
    return line


@pytest.fixture(scope="module", params=["docker", "referrers"])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("registry")
    with RegistryServer(folder) if request.param == "docker" else ReferrersRegistry() as server:
        # In Bazel's sandbox the layers are where the index is, and not where a push of its target looks for them.
        for name in ("team/digits", "team/plain", "team/guide", "team/target"):
            done = run_tool("push", f"--image={os.environ['INDEX']}", f"--repository={server.address}/{name}")
            assert done.returncode == 0, done.stderr
        yield server.address


def push(address: str, *flags: str) -> tuple[str, str, float]:
    """Digest, messages and seconds of `bazel run :push_index -- …`."""
    begin = time.monotonic()
    done = subprocess.run(
        [os.environ["PUSH_INDEX"], f"--repository={address}/team/digits", "--tag=v1", *flags],
        env={**os.environ, "COSIGN_PASSWORD": PASSWORD, "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr, time.monotonic() - begin


def images(digest: str) -> list[str]:
    index = json.loads((Path(os.environ["INDEX"]) / "blobs" / digest.replace(":", "/")).read_bytes())
    return [entry["digest"] for entry in index["manifests"]]


def discover(folder: Path, image: str) -> list[dict]:
    done = run_program("CHASSIS_TEST_ORAS", folder, "discover", "--plain-http", "--format=json", image)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    return document.get("manifests") or document.get("referrers") or []


def test_everything_is_there_for_each_image_and_the_index(
    address: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    digest, said, _ = push(address, "--sign", f"--key={pair[0]}")
    repository = f"{address}/team/digits"
    of_index = [entry["artifactType"] for entry in discover(tmp_path, f"{repository}@{digest}")]
    assert sorted(of_index) == sorted([*(KINDS - {"application/vnd.in-toto+json"}), BUNDLE, BUNDLE, BUNDLE])
    assert len(images(digest)) == 2
    for image in images(digest):
        listed = discover(tmp_path, f"{repository}@{image}")
        assert {entry["artifactType"] for entry in listed} == KINDS | {BUNDLE}
        assert len(listed) == 7  # three documents, the same three signed, and the signature of the image
        cosign(tmp_path, "verify", f"--key={pair[1]}", "--insecure-ignore-tlog=true", f"{repository}@{image}")
        attested = cosign(
            tmp_path,
            "verify-attestation",
            f"--key={pair[1]}",
            "--insecure-ignore-tlog=true",
            "--type=slsaprovenance1",
            f"{repository}@{image}",
        )
        statement = json.loads(base64.b64decode(json.loads(attested.splitlines()[0])["payload"]))
        assert statement["predicateType"] == PROVENANCE
        assert statement["subject"][0]["digest"]["sha256"] == image.removeprefix("sha256:")
        assert statement["predicate"]["buildDefinition"]["externalParameters"]["target"] == "//model:image"
    assert f"{digest}: attached: sbom.cdx.json, sbom.spdx.json, signature.sigstore.json" in said


def test_oras_downloads_the_bill_of_materials_of_each_image(
    address: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    digest, _, _ = push(address, "--sign", f"--key={pair[0]}")
    seen = set()
    for image in images(digest):
        listed = discover(tmp_path, f"{address}/team/digits@{image}")
        (entry,) = [one for one in listed if one["artifactType"] == "application/vnd.cyclonedx+json"]
        done = run_program(
            "CHASSIS_TEST_ORAS", tmp_path, "pull", "--plain-http", f"{address}/team/digits@{entry['digest']}"
        )
        assert done.returncode == 0, done.stderr
        subject = json.loads((tmp_path / "sbom.cdx.json").read_bytes())["metadata"]["component"]
        assert subject["hashes"][0]["content"] == image.removeprefix("sha256:")
        seen.add(subject["purl"].rpartition("=")[2])
    assert seen == {"amd64", "arm64"}
    (entry,) = [
        one
        for one in discover(tmp_path, f"{address}/team/digits@{digest}")
        if one["artifactType"] == "application/vnd.cyclonedx+json"
    ]
    repository = f"{address}/team/digits@{entry['digest']}"
    assert run_program("CHASSIS_TEST_ORAS", tmp_path, "pull", "--plain-http", repository).returncode == 0
    document = json.loads((tmp_path / "sbom.cdx.json").read_bytes())
    listed = {"sha256:" + one["hashes"][0]["content"] for one in document["components"]}
    assert listed == set(images(digest))
    assert document["metadata"]["component"]["hashes"][0]["content"] == digest.removeprefix("sha256:")


def test_a_second_push_attaches_nothing(address: str, pair: tuple[Path, Path]) -> None:
    flags = ("--sign", f"--key={pair[0]}")
    push(address, *flags)
    _, said, seconds = push(address, *flags)
    assert ": attached: " not in said
    assert said.count(": there already: ") == 3
    assert said.count("sigstore.json") == 11
    print(f"an unchanged push of all: {seconds:.2f} s")


def test_without_signing_the_documents_alone_are_attached(address: str, tmp_path: Path) -> None:
    _, said, _ = push(address, f"--repository={address}/team/plain")
    assert said.count(": attached: sbom.cdx.json, sbom.spdx.json, provenance.json\n") == 2
    assert "sigstore" not in said


def test_the_guide_shows_what_is_printed(address: str, pair: tuple[Path, Path], tmp_path: Path) -> None:
    blocks = re.findall(r"```console\n(.*?)```", Path(os.environ["TRUST"]).read_text(), re.DOTALL)
    # e2e/rebuild/test and keyless_test.py show the others.
    blocks = [block for block in blocks if " --rebuild" not in block and " --certificate-identity" not in block]
    shown = [line for block in blocks for line in block.splitlines() if line != "…" and not line.startswith("$ ")]
    digest, said, _ = push(address, f"--repository={address}/team/guide", "--sign", f"--key={pair[0]}")
    image = f"{address}/team/guide@{images(digest)[0]}"
    other = keys(tmp_path)[1].rename(tmp_path / "other.pub")
    runs = [
        run_tool("verify", f"--image={image}", f"--key={pair[1]}", "--require=provenance"),
        run_tool("verify", f"--image={address}/team/guide:v1", f"--key={other}"),
        run_program("CHASSIS_TEST_ORAS", tmp_path, "discover", "--plain-http", image),
    ]
    assert [run.returncode for run in runs] == [0, 1, 0], [run.stderr for run in runs]
    printed = said + digest + "".join("\n" + run.stdout + run.stderr for run in runs)
    real = {shape(line).replace("v1 set", "0.0.1 set") for line in printed.splitlines()}
    assert len(shown) > 25
    assert [line for line in shown if shape(line) not in real] == []


def start(target: str, *flags: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "HOME": "/nonexistent"}
    command = [os.environ[target], *flags]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_targets_that_have_a_key_sign_and_verify(address: str, tmp_path: Path) -> None:
    repository = f"{address}/team/target"
    unsigned = start("PUSH_SIGNED", f"--repository={repository}", "--tag=v1", "--nosign")
    assert unsigned.returncode == 0, unsigned.stderr
    assert "attached" not in unsigned.stderr
    assert "is not signed with" in start("VERIFY_SIGNED", f"--image={repository}:v1").stderr
    signed = start("PUSH_SIGNED", f"--repository={repository}", "--tag=v1")
    assert signed.stderr.count(".sig\n") == 3, signed.stderr
    verified = start("VERIFY_SIGNED", f"--image={repository}:v1")
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout == signed.stdout == unsigned.stdout
    other = start("VERIFY_SIGNED", f"--image={repository}@{images(signed.stdout.strip())[0]}")
    assert (other.returncode, other.stdout) == (1, "")
    assert f"but this build makes {signed.stdout.strip()}" in other.stderr

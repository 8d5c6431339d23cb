"""One push, all of it: an index of real images with bills of materials, provenance and signatures, read by cosign
and oras.
"""

from __future__ import annotations

import base64
import json
import os
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


@pytest.fixture(scope="module", params=["docker", "referrers"])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("registry")
    with RegistryServer(folder) if request.param == "docker" else ReferrersRegistry() as server:
        # In Bazel's sandbox the layers are where the index is, and not where a push of its target looks for them.
        for name in ("team/digits", "team/plain"):
            done = run_tool("push", f"--image={os.environ['INDEX']}", f"--repository={server.address}/{name}")
            assert done.returncode == 0, done.stderr
        yield server.address


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return keys(tmp_path_factory.mktemp("keys"))


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
    assert [entry["artifactType"] for entry in discover(tmp_path, f"{repository}@{digest}")] == [BUNDLE]
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
    assert "attached" in said


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


def test_a_second_push_attaches_nothing(address: str, pair: tuple[Path, Path]) -> None:
    flags = ("--sign", f"--key={pair[0]}")
    push(address, *flags)
    _, said, seconds = push(address, *flags)
    assert " attached (" not in said
    assert said.count("was there already (") == 15
    print(f"an unchanged push of all: {seconds:.2f} s")


def test_without_signing_the_documents_alone_are_attached(address: str, tmp_path: Path) -> None:
    _, said, _ = push(address, f"--repository={address}/team/plain")
    assert said.count("sbom.cdx.json attached (application/vnd.cyclonedx+json") == 2
    assert "sigstore" not in said

"""Artifacts attached to an image: with the registry's referrers API, and by tag if there is none, as here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chassis.oci.referrer import ArtifactFile, ReferrerError, attach, fallback_tag, referrers
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.errors import StatusError
from chassis.oci.registry.reference import parse_repository
from chassis.oci.registry.transport import Backoff, Transport
from tests.publishing.fault_proxy import FaultProxy, Harm, Request
from tests.publishing.push_tool import run_tool
from tests.publishing.registry_server import RegistryServer, skopeo
from tests.publishing.sample_images import sample_image

SBOM = "application/spdx+json"


def client_of(address: str, name: str) -> RegistryClient:
    store = CredentialStore({"HOME": "/nonexistent"})
    return RegistryClient(parse_repository(f"{address}/{name}"), Transport(backoff=Backoff(first=0.01)), store)


def published(address: str, folder: Path, name: str, seed: int) -> str:
    layout, digest = sample_image(folder / "image", 100, seed=seed)
    done = run_tool("push", f"--image={layout}", f"--repository={address}/{name}", "--tag=v1")
    assert done.returncode == 0, done.stderr
    return digest


def sbom(folder: Path, text: str) -> list[ArtifactFile]:
    file = folder / "sbom.spdx.json"
    file.write_text(text)
    return [ArtifactFile(file, SBOM)]


def test_artifacts_are_listed_under_the_fallback_tag(registry: RegistryServer, tmp_path: Path) -> None:
    digest = published(registry.address, tmp_path, "tagged", 0)
    client = client_of(registry.address, "tagged")
    assert referrers(client, digest) == []
    first = attach(client, digest, SBOM, sbom(tmp_path, '{"a": 1}'), {"made.by": "a test"})
    assert first.tag == fallback_tag(digest)
    second = attach(client, digest, SBOM, sbom(tmp_path, '{"b": 2}'))
    assert attach(client, digest, SBOM, sbom(tmp_path, '{"b": 2}')) == second  # nothing is listed twice
    listed = referrers(client, digest)
    assert [entry["digest"] for entry in listed] == [first.descriptor.digest, second.descriptor.digest]
    assert [entry["artifactType"] for entry in listed] == [SBOM, SBOM]
    name = f"docker://{registry.address}/tagged"
    raw = skopeo(tmp_path, "inspect", "--raw", "--tls-verify=false", f"{name}:{first.tag}")
    assert json.loads(raw)["manifests"] == listed
    artifact = json.loads(
        skopeo(tmp_path, "inspect", "--raw", "--tls-verify=false", f"{name}@{first.descriptor.digest}")
    )
    assert artifact["subject"]["digest"] == digest
    assert artifact["layers"][0]["annotations"] == {"org.opencontainers.image.title": "sbom.spdx.json"}


def test_a_registry_with_the_api_is_left_to_list_them(proxy: FaultProxy, tmp_path: Path) -> None:
    """docker-registry of Debian has no referrers API: the proxy answers such requests in its place."""
    digest = published(proxy.address, tmp_path, "listed", 1)
    client = client_of(proxy.address, "listed")
    index = json.dumps({"schemaVersion": 2, "manifests": []}).encode()

    def rule(request: Request) -> Harm | None:
        if "/referrers/" in request.path:
            return Harm(status=200, body=index)
        return Harm(add={"OCI-Subject": digest}) if request.method == "PUT" else None

    proxy.rule = rule
    assert attach(client, digest, SBOM, sbom(tmp_path, "{}")).tag == ""
    assert not [r for r in proxy.requests if r.method == "PUT" and fallback_tag(digest) in r.path]
    assert referrers(client, digest) == []


def test_a_subject_must_be_there(registry: RegistryServer, tmp_path: Path) -> None:
    client = client_of(registry.address, "absent")
    with pytest.raises(ReferrerError, match="push the image before what refers to it"):
        attach(client, "sha256:" + "0" * 64, SBOM, sbom(tmp_path, "{}"))


def test_an_artifact_that_fails_is_not_listed(proxy: FaultProxy, tmp_path: Path) -> None:
    digest = published(proxy.address, tmp_path, "failing", 2)
    client = client_of(proxy.address, "failing")
    proxy.rule = lambda r: Harm(status=403) if r.method == "PUT" and "/manifests/" in r.path else None
    with pytest.raises(StatusError):
        attach(client, digest, SBOM, sbom(tmp_path, "{}"))
    proxy.rule = lambda request: None
    assert referrers(client, digest) == []


@pytest.mark.parametrize("body", [b"[]", b"{}", b"no", b'{"manifests": [1]}', b'{"manifests": {}}'])
def test_a_malformed_list_is_named(proxy: FaultProxy, tmp_path: Path, body: bytes) -> None:
    client = client_of(proxy.address, "malformed")
    proxy.rule = lambda request: Harm(status=200, body=body)
    with pytest.raises(ReferrerError, match="is not an index of manifests"):
        referrers(client, "sha256:" + "0" * 64)


def test_the_tool_attaches_a_file(registry: RegistryServer, tmp_path: Path) -> None:
    digest = published(registry.address, tmp_path, "tool", 3)
    (file,) = sbom(tmp_path, "{}")
    image = f"--image={registry.address}/tool"
    done = run_tool("attach", f"{image}@{digest}", f"--artifact_type={SBOM}", f"--file={SBOM}={file.path}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == referrers(client_of(registry.address, "tool"), digest)[0]["digest"]
    assert fallback_tag(digest) in done.stderr
    refused = run_tool("attach", f"{image}:v1", f"--artifact_type={SBOM}", f"--file={SBOM}={file.path}")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"write @{digest}" in refused.stderr

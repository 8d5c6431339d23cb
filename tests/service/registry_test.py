"""The service pushes to a real docker-registry that asks for a password."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.sdk.client import ChassisClient
from tests.publishing.registry_server import RegistryServer, skopeo
from tests.service.service_process import ServiceProcess

USER, PASSWORD = "ann", "se:cret"
# bcrypt of PASSWORD, cost 4
HTPASSWD = f"{USER}:$2b$04$svbfdnkpjWxSU1Ff8/WPt.kHhMsADaolARnZT.P638OpI8XXSfBqa\n"
_SECONDS = 60


def process(content: bytes) -> int:
    """The length."""
    return len(content)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    folder = tmp_path_factory.mktemp("registry")
    (folder / "htpasswd").write_text(HTPASSWD)
    with RegistryServer(folder, auth={"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}) as server:
        yield server


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    with ServiceProcess(tmp_path / "state") as running:
        yield running


def _publish(service: ServiceProcess, registry: RegistryServer, password: str | None, **options: object) -> dict:
    client = ChassisClient(service.url)
    model = client.create_model(process_fn=process)
    job = model.publish("Cats", "0.0.1", USER if password else None, password, registry=registry.address, **options)
    return client.block_until_complete(job["job_id"], timeout=_SECONDS, poll_interval=0.1)


def _tags(registry: RegistryServer, repository: str) -> list[str]:
    """The tags that the registry knows, asked with the right password."""
    manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    manager.add_password(None, f"http://{registry.address}/", USER, PASSWORD)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager), urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{registry.address}/v2/{repository}/tags/list", timeout=_SECONDS) as answer:
            return json.load(answer)["tags"] or []
    except urllib.error.HTTPError as error:
        assert error.code == 404
        return []


def test_the_image_is_tagged_with_the_models_version(
    service: ServiceProcess, registry: RegistryServer, tmp_path: Path
) -> None:
    job = _publish(service, registry, PASSWORD)
    assert job["status"]["state"] == "succeeded", job
    assert job["image"] == f"{registry.address}/ann/cats"
    assert _tags(registry, "ann/cats") == ["0.0.1"]
    skopeo(
        tmp_path,
        "copy",
        "--src-tls-verify=false",
        f"--src-creds={USER}:{PASSWORD}",
        f"docker://{registry.address}/ann/cats:0.0.1",
        f"oci:{tmp_path}/pulled",
    )
    assert job["result"]["digest"] in (tmp_path / "pulled" / "index.json").read_text()


def test_repository_and_tags_can_be_told(service: ServiceProcess, registry: RegistryServer) -> None:
    job = _publish(service, registry, PASSWORD, repository="team/pets", tags=["a", "b"])
    assert job["status"]["state"] == "succeeded", job
    assert sorted(_tags(registry, "team/pets")) == ["a", "b"]


def test_wrong_credentials_fail_the_job_and_tag_nothing(service: ServiceProcess, registry: RegistryServer) -> None:
    wrong = "wr0ng-passw0rd"
    job = _publish(service, registry, wrong, repository="ann/refused")
    assert job["status"]["state"] == "failed"
    assert job["result"] is None
    assert f"{registry.address} refused the credentials, nothing was tagged" in job["status"]["message"]
    assert _tags(registry, "ann/refused") == []
    assert wrong not in json.dumps(job)
    for path in service.state.rglob("*"):
        assert path.is_dir() or wrong.encode() not in path.read_bytes(), path


def test_no_credentials_where_some_are_wanted_are_told_from_wrong_ones(
    service: ServiceProcess, registry: RegistryServer
) -> None:
    job = _publish(service, registry, None, repository="ann/nobody")
    assert job["status"]["state"] == "failed"
    message = job["status"]["message"]
    assert f"{registry.address} wants credentials and the job has none, nothing was tagged" in message
    assert "publish again with registry_user and registry_pass" in message
    assert "refused" not in message


def test_the_right_password_is_nowhere_either(service: ServiceProcess, registry: RegistryServer) -> None:
    job = _publish(service, registry, PASSWORD, repository="ann/quiet")
    assert PASSWORD not in json.dumps(job)
    for path in service.state.rglob("*"):
        assert path.is_dir() or PASSWORD.encode() not in path.read_bytes(), path

"""What a build service does with a real Bazel beyond the tutorial: several platforms, a kill, failing requirements."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chassis.image_test.image_check import check_image
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.registry.transport import Cancellation
from chassis.sdk.client import ChassisClient
from chassis.sdk.model import ChassisModel
from tests.publishing.registry_server import RegistryServer, skopeo
from tests.tutorial.account import PASSWORD, USER
from tests.tutorial.build_service import BuildService
from tests.tutorial.emulated import plan

_WEIGHTS = np.arange(16.0)
_ACCOUNT = {"registry_user": USER, "registry_pass": PASSWORD}
_POLL_SECONDS = 0.3


def process(content: bytes) -> float:
    """A weighted sum of 16 bytes."""
    return float(_WEIGHTS @ np.frombuffer(content, np.uint8))


def doubled(content: bytes) -> float:
    """Twice that."""
    return 2 * float(_WEIGHTS @ np.frombuffer(content, np.uint8))


def checksum(content: bytes) -> dict[str, object]:
    """The CRC-32 of the content, by a module that is compiled from C."""
    from crcmod import _crcfunext, predefined

    compiled = _crcfunext.__file__.endswith(f".{sys.implementation.cache_tag}-aarch64-linux-gnu.so")
    return {"compiled": compiled, "crc": predefined.mkPredefinedCrcFun("crc-32")(content)}


@pytest.fixture
def client(service: BuildService) -> Iterator[ChassisClient]:
    client = ChassisClient(service.url)
    yield client
    client.close()


def _published(client: ChassisClient, function: object, name: str, **options: object) -> dict:
    """The job of `function` at its end."""
    job = client.create_model(process_fn=function).publish(name, "0.0.1", **options)
    return client.block_until_complete(str(job["job_id"]), poll_interval=_POLL_SECONDS)


def _succeeded(job: dict) -> dict:
    assert job["status"]["state"] == "succeeded", job.get("logs", job)
    return job


def _failure(job: dict) -> str:
    assert job["status"]["state"] == "failed", job
    assert job["result"] is None
    return job["status"]["message"]


def _registry(folder: Path, registry: RegistryServer, name: str, *command: str) -> dict:
    """What skopeo answers about `name` of the user's repositories."""
    options = ("--tls-verify=false", f"--creds={USER}:{PASSWORD}")
    return json.loads(skopeo(folder, *command, *options, f"docker://{registry.address}/{USER}/{name}"))


def test_several_platforms_are_one_tag_and_one_index(
    client: ChassisClient, registry: RegistryServer, tmp_path: Path
) -> None:
    job = _succeeded(_published(client, process, "Sums", platforms=["amd64", "arm64", "arm64_gpu"], **_ACCOUNT))
    assert len(job["result"]["images"]) == 3
    index = _registry(tmp_path, registry, "sums:0.0.1", "inspect", "--raw")
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    platforms = [(entry["platform"]["os"], entry["platform"]["architecture"]) for entry in index["manifests"]]
    assert platforms == [("linux", "amd64"), ("linux", "arm64"), ("linux", "arm64")]
    assert [entry.get("annotations") for entry in index["manifests"]] == [
        None,
        None,
        {"dev.chassis.accelerator": "cuda"},
    ]
    for architecture in ("amd64", "arm64"):
        config = _registry(tmp_path, registry, "sums:0.0.1", f"--override-arch={architecture}", "inspect", "--config")
        assert config["architecture"] == architecture


def test_a_second_model_with_the_same_wheels_makes_its_own_layers_alone(client: ChassisClient) -> None:
    job = _succeeded(_published(client, doubled, "Twice the sum", arm64=True, **_ACCOUNT))
    log = client.get_job_logs(str(job["job_id"]))
    actions = re.search(r"INFO: (\d+) processes:.* (\d+) internal", log)
    assert actions, log
    # Pickle, the model's layer, its part of the manifest, the examination: no wheel, no base.
    assert int(actions[1]) - int(actions[2]) <= 12, log


def test_a_job_that_a_kill_interrupts_builds_once_more_and_sets_one_tag(
    client: ChassisClient, service: BuildService, registry: RegistryServer, tmp_path: Path
) -> None:
    job = client.create_model(process_fn=doubled).publish("Killed", "0.0.1", arm64=True, **_ACCOUNT)
    job_id = str(job["job_id"])
    lines = client.follow_job_logs(job_id)
    assert any(line.startswith("wheels locked") for line in lines)
    next(lines)  # Bazel's first
    service.kill()
    service.start()
    job = _succeeded(client.block_until_complete(job_id, poll_interval=_POLL_SECONDS))
    assert job["status"]["attempts"] == 2
    log = client.get_job_logs(job_id)
    assert "waits for its credentials" in log
    assert "run 2: the service was stopped during the one before" in log
    assert PASSWORD not in log
    assert _registry(tmp_path, registry, "killed", "list-tags")["Tags"] == ["0.0.1"]
    revisions = f"data/docker/registry/v2/repositories/{USER}/killed/_manifests/revisions/sha256"
    stored = [f"sha256:{path.name}" for path in (registry.folder / revisions).iterdir()]
    assert stored == [job["result"]["digest"]]


def test_a_requirement_without_a_wheel_is_named_with_what_builds_it(client: ChassisClient) -> None:
    message = _failure(_published(client, checksum, "Checksum", arm64=True, requirements=["crcmod==1.7"]))
    assert "crcmod" in message
    assert "only the sources can be built for the platform" in message
    assert "cross_build" in message


def test_a_requirement_is_built_from_its_sources_where_that_is_asked_for(client: ChassisClient, tmp_path: Path) -> None:
    job = _succeeded(
        _published(
            client, checksum, "Checksum", arm64=True, requirements=["crcmod==1.7"], cross_build=["crcmod"], **_ACCOUNT
        )
    )
    client.download_tar(str(job["job_id"]), tmp_path / "image.tar")
    layout = tmp_path / "layout"
    skopeo(tmp_path, "copy", f"oci-archive:{tmp_path}/image.tar", f"oci:{layout}:0.0.1")
    case = tmp_path / "case.json"
    case.write_text(json.dumps({"input": "123456789", "output": {"compiled": True, "crc": 0xCBF43926}}))
    outcome = check_image(plan(layout, case), tmp_path, print)
    assert [result.failure for result in outcome.results if result.failure] == []


def test_requirements_that_conflict_are_explained(client: ChassisClient) -> None:
    conflict = ["numpy==2.4.6", "scipy==1.11.4"]
    message = _failure(_published(client, process, "Conflict", arm64=True, requirements=conflict))
    assert "scipy==1.11.4 depends on numpy" in message
    assert "numpy==2.4.6" in message


def test_wrong_credentials_fail_the_job_and_tag_nothing(
    client: ChassisClient, registry: RegistryServer, tmp_path: Path
) -> None:
    wrong = {"registry_user": USER, "registry_pass": "not-the-password"}
    message = _failure(_published(client, doubled, "Refused", arm64=True, **wrong))
    assert f"{registry.address} refused the credentials, nothing was tagged" in message
    assert "not-the-password" not in message
    assert not (registry.folder / f"data/docker/registry/v2/repositories/{USER}/refused").exists()


# The last two take the service's place.
def test_a_client_without_a_url_builds_the_same_image_in_its_own_process(
    client: ChassisClient, service: BuildService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _succeeded(_published(client, doubled, "Alone", arm64=True, **_ACCOUNT))["result"]["digest"]
    service.stop()
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    monkeypatch.setenv("CHASSIS_CACHE", os.environ.get("CHASSIS_CACHE") or str(home / "chassis"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(service.cache))
    monkeypatch.setenv("CHASSIS_WORKSPACE", str(service.checkout))
    local = ChassisClient()
    try:
        job = _succeeded(_published(local, doubled, "Alone", arm64=True))
        local.download_tar(str(job["job_id"]), tmp_path / "image.tar")
    finally:
        local.close()
    assert job["result"]["digest"] == expected
    skopeo(tmp_path, "copy", f"oci-archive:{tmp_path}/image.tar", f"oci:{tmp_path}/layout:0.0.1")
    assert LayoutReader(tmp_path / "layout").entry().digest == expected


def test_a_saved_model_is_a_workspace_that_builds_as_it_is(
    service: BuildService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.stop()
    monkeypatch.setenv("CHASSIS_WORKSPACE", str(service.checkout))
    model = ChassisModel(process_fn=doubled)
    model.describe(model_name="Saved", model_version="0.0.1")
    # The test's own directory lies below a MODULE.bazel.
    with tempfile.TemporaryDirectory(prefix="chassis-saved-", dir="/tmp") as folder:
        saved = model.save(Path(folder) / "saved", arm64=True)
        bazel = service.bazel(saved)
        try:
            bazel.build(["//:image_arm64"], print, Cancellation())
            _, config = LayoutReader(saved / "bazel-bin" / "image_arm64").image()
        finally:
            bazel.stop()
    assert config.architecture == "arm64"

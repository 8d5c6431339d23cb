"""The tutorial's own code against the build service with Bazel, a real registry, and an emulated arm64.

What is not the tutorial's: the model (digits.py, whose weights and libraries are small), and the values that it leaves
to its reader. pytorch_test.py has the tutorial's own model.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import chassis
import chassisml
from chassis.image_test.image_check import check_image
from chassis.oci.layout_reader import LayoutReader
from tests.publishing.registry_server import RegistryServer, skopeo
from tests.tutorial import digits
from tests.tutorial.account import PASSWORD, USER
from tests.tutorial.blocks import read_blocks
from tests.tutorial.build_service import BuildService
from tests.tutorial.emulated import plan

REPOSITORY = f"{USER}/pytorch-resnet50-image-classification"
DIGIT = 7

_MODEL = """
model = digits.trained()
labels = [f"digit {number}" for number in range(10)]
device = "DEVICE"
model.to(device)
def batch_process(inputs):
    softmax_preds = model(np.stack([np.frombuffer(input_bytes, np.uint8).astype(float) for input_bytes in inputs]))
"""


@pytest.fixture(scope="module")
def names(service: BuildService, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The names that the tutorial's blocks are run with, one after the other, as a notebook does."""
    sample = tmp_path_factory.mktemp("data") / "seven.bin"
    sample.write_bytes(digits.sample(DIGIT))
    # The tutorial sets dockerhob_pass and uses dockerhub_pass: its reader has the latter.
    reader = {"dockerhub_pass": PASSWORD}
    return {"service": service.url, "sample": sample, "digits": digits, "np": np, "chassisml": chassisml} | reader


def _run(names: dict[str, object], block: str) -> None:
    source = read_blocks(Path(os.environ["TUTORIAL_BLOCKS"]))[block]
    for said, meant in {
        "http://localhost:5000": str(names["service"]),
        "./data/airplane.jpg": str(names["sample"]),
        "<my.username>": repr(USER),
        "<my.password>": repr(PASSWORD),
    }.items():
        source = source.replace(said, meant)
    exec(compile(source, f"<tutorial: {block}>", "exec"), names)


def _make_model(names: dict[str, object], device: str) -> None:
    batch_process = read_blocks(Path(os.environ["TUTORIAL_BLOCKS"]))["batch_process"]
    postprocess = batch_process[batch_process.index("    # postprocess\n") :]
    exec(compile(_MODEL.replace("DEVICE", device) + postprocess, "<tutorial: model>", "exec"), names)


def _succeeded(names: dict[str, object]) -> dict:
    status = names["final_status"]
    assert isinstance(status, dict)
    assert status["status"]["succeeded"] == 1, status.get("logs", status)
    return status


def _config(registry: RegistryServer, folder: Path) -> dict:
    folder.mkdir(exist_ok=True)
    reference = f"docker://{registry.address}/{REPOSITORY}:0.0.1"
    options = ("--tls-verify=false", f"--creds={USER}:{PASSWORD}")
    return json.loads(skopeo(folder, "inspect", "--config", *options, reference))


def test_the_model_is_made_and_tried(names: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    _make_model(names, "cpu")
    _run(names, "create")
    _run(names, "test")
    printed = capsys.readouterr().out
    assert printed.count(f'"class":"digit {DIGIT}"') == 1 + 4
    assert isinstance(names["chassis_model"], chassis.ChassisModel)


def test_the_arm64_image_is_published_and_classifies_under_emulation(
    names: dict[str, object], registry: RegistryServer, tmp_path: Path
) -> None:
    _run(names, "publish_arm64")
    status = _succeeded(names)
    assert status["platforms"] == ["arm64"]
    assert _config(registry, tmp_path / "config")["architecture"] == "arm64"
    layout = tmp_path / "pulled"
    source = f"docker://{registry.address}/{REPOSITORY}:0.0.1"
    skopeo(tmp_path, "copy", "--src-tls-verify=false", f"--src-creds={USER}:{PASSWORD}", source, f"oci:{layout}:0.0.1")
    assert LayoutReader(layout).entry().digest == status["result"]["digest"]
    case = tmp_path / "case.json"
    expected = json.loads(names["results"][0]["results.json"])
    assert expected["classPredictions"][0]["class"] == f"digit {DIGIT}"
    case.write_text(json.dumps({"input": {"file": str(names["sample"])}, "output": expected}))
    outcome = check_image(plan(layout, case), tmp_path, print)
    assert [result.failure for result in outcome.results if result.failure] == []


def test_the_arm64_gpu_image_is_published_for_its_platform(
    names: dict[str, object], registry: RegistryServer, tmp_path: Path
) -> None:
    _make_model(names, "cuda")
    _run(names, "create")
    _run(names, "publish_arm64_gpu")
    assert _succeeded(names)["platforms"] == ["arm64_gpu"]
    config = _config(registry, tmp_path / "config")
    assert config["architecture"] == "arm64"
    environment = dict(text.split("=", 1) for text in config["config"]["Env"])
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert "compute" in environment["NVIDIA_DRIVER_CAPABILITIES"]


def test_nothing_of_the_password_is_kept(names: dict[str, object]) -> None:
    client = names["chassis_client"]
    assert PASSWORD not in client.get_job_logs(names["job_id"])
    assert PASSWORD not in json.dumps(names["final_status"])

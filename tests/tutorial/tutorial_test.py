"""The tutorial's own code against the build service with Bazel, a real registry, and an emulated arm64.

What is not the tutorial's: the model (digits.py, whose weights and libraries are small), and the values that it leaves
to its reader.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import chassis
import chassisml
from chassis.oci.layout_reader import LayoutReader
from chassis.testing.case_file import read_cases
from chassis.testing.image_check import Plan, check_image
from tests.publishing.registry_server import RegistryServer, skopeo
from tests.tutorial import digits

USER, PASSWORD = "ann", "se:cret"
# bcrypt of PASSWORD, cost 4
HTPASSWD = f"{USER}:$2b$04$svbfdnkpjWxSU1Ff8/WPt.kHhMsADaolARnZT.P638OpI8XXSfBqa\n"
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


def _blocks() -> dict[str, str]:
    text = Path(os.environ["TUTORIAL_BLOCKS"]).read_text()
    return dict(re.findall(r"## (\w+)\n\n```python\n(.*?)```", text, re.DOTALL))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    folder = tmp_path_factory.mktemp("registry")
    (folder / "htpasswd").write_text(HTPASSWD)
    with RegistryServer(folder, auth={"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}) as server:
        yield server


@pytest.fixture(scope="module")
def service(registry: RegistryServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a build service of this checkout."""
    state = tmp_path_factory.mktemp("service")
    # A runfile is a link into the checkout; the test is marked as one that runs beside it.
    checkout = Path(os.environ["CHECKOUT_FILE"]).resolve().parent
    command = [sys.executable, "-m", "chassis.service", "--port=0", f"--state={state}/state"]
    command.append(f"--registry={registry.address}")
    if (checkout / "user.bazelrc").is_file():
        command.append(f"--bazelrc={checkout}/user.bazelrc")
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"CHASSIS_WORKSPACE": str(checkout)},
    )
    assert process.stderr is not None
    try:
        address = re.search(r"http://\S+", process.stderr.readline())
        assert address, process.stderr.read()
        yield address[0]
    finally:
        process.terminate()
        process.wait(90)
        process.stderr.close()


@pytest.fixture(scope="module")
def names(service: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The names that the tutorial's blocks are run with, one after the other, as a notebook does."""
    sample = tmp_path_factory.mktemp("data") / "seven.bin"
    sample.write_bytes(digits.sample(DIGIT))
    # The tutorial sets dockerhob_pass and uses dockerhub_pass: its reader has the latter.
    reader = {"dockerhub_pass": PASSWORD}
    return {"service": service, "sample": sample, "digits": digits, "np": np, "chassisml": chassisml} | reader


def _run(names: dict[str, object], block: str) -> None:
    source = _blocks()[block]
    for said, meant in {
        "http://localhost:5000": str(names["service"]),
        "./data/airplane.jpg": str(names["sample"]),
        "<my.username>": repr(USER),
        "<my.password>": repr(PASSWORD),
    }.items():
        source = source.replace(said, meant)
    exec(compile(source, f"<tutorial: {block}>", "exec"), names)


def _make_model(names: dict[str, object], device: str) -> None:
    exec(compile(_MODEL.replace("DEVICE", device) + _blocks()["postprocess"], "<tutorial: model>", "exec"), names)


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
    outcome = check_image(_plan(layout, names, case), tmp_path, print)
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


def _plan(layout: Path, names: dict[str, object], case: Path) -> Plan:
    return Plan(
        layout=layout,
        bwrap=Path(os.environ["BWRAP"]),
        cases=read_cases(case),
        emulator=Path(os.environ["QEMU"]),
        emulator_cpu="cortex-a57",
        startup_seconds=300,
    )

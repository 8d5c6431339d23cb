"""The tutorial with its own PyTorch, from the imports to the images: its client on an emulated arm64, over loopback.

See pytorch_client.py for what is not run word for word.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from chassis.image_test.image_check import check_image
from chassis.service.bazel import end_with_parent
from tests.publishing.registry_server import RegistryServer, skopeo
from tests.tutorial.account import PASSWORD, USER
from tests.tutorial.build_service import BuildService
from tests.tutorial.emulated import plan

REPOSITORY = f"{USER}/pytorch-resnet50-image-classification"
# Of the client: an import of PyTorch, five pictures, two pickles and two builds that import it once more each.
_CLIENT_SECONDS = 3000.0
_SERVER_SECONDS = 900.0


@pytest.fixture(scope="module")
def came(service: BuildService, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What the client says that came of the tutorial."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "data").mkdir()
    shutil.copyfile(os.environ["PICTURE"], folder / "data" / "airplane.jpg")
    settings = {
        "blocks": os.environ["TUTORIAL_BLOCKS"],
        "service": service.url,
        "user": USER,
        "password": PASSWORD,
        "output": str(folder / "came.json"),
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [os.environ["CLIENT"], str(folder / "settings.json")],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        timeout=_CLIENT_SECONDS,
        check=False,
        preexec_fn=end_with_parent(),
    )
    assert done.returncode == 0
    return json.loads((folder / "came.json").read_text())


def _succeeded(status: dict) -> dict:
    assert status["status"]["succeeded"] == 1, status.get("logs", status)
    return status["result"]


def _pulled(registry: RegistryServer, folder: Path, digest: str) -> Path:
    source = f"docker://{registry.address}/{REPOSITORY}@{digest}"
    layout = folder / "pulled"
    skopeo(folder, "copy", "--src-tls-verify=false", f"--src-creds={USER}:{PASSWORD}", source, f"oci:{layout}:0.0.1")
    return layout


def _config(registry: RegistryServer, folder: Path, digest: str) -> dict:
    reference = f"docker://{registry.address}/{REPOSITORY}@{digest}"
    options = ("--tls-verify=false", f"--creds={USER}:{PASSWORD}", "--override-arch=arm64")
    return json.loads(skopeo(folder, "inspect", "--config", *options, reference))


def test_the_model_is_tried_alone_and_as_a_batch(came: dict) -> None:
    assert [json.loads(output) for output in came["batch"]] == [json.loads(came["batch"][0])] * 4
    best = json.loads(came["batch"][0])["classPredictions"]
    assert len(best) == 5
    # scikit-image: "Chelsea the cat", with a striped coat.
    assert best[0]["class"] in ("Egyptian cat", "tabby, tabby cat", "tiger cat")
    assert best[0]["score"] > 0.3
    assert came["printed"].count(best[0]["class"]) == 1 + 4


def test_what_it_imports_is_found(came: dict) -> None:
    names = [requirement.partition("==")[0] for requirement in came["requirements"]]
    assert names == ["efficientnet-lite-pytorch", "numpy", "opencv-python-headless", "torch", "torchvision"]


def test_the_arm64_image_classifies_the_picture_under_emulation(
    came: dict, registry: RegistryServer, tmp_path: Path
) -> None:
    digest = _succeeded(came["arm64"])["digest"]
    assert came["arm64"]["platforms"] == ["arm64"]
    assert _config(registry, tmp_path, digest)["architecture"] == "arm64"
    case = tmp_path / "case.json"
    case.write_text(json.dumps({"input": {"file": os.environ["PICTURE"]}, "output": json.loads(came["batch"][0])}))
    outcome = check_image(plan(_pulled(registry, tmp_path, digest), case, _SERVER_SECONDS), tmp_path, print)
    assert [result.failure for result in outcome.results if result.failure] == []


def test_the_arm64_gpu_image_is_for_its_platform(came: dict, registry: RegistryServer, tmp_path: Path) -> None:
    digest = _succeeded(came["arm64_gpu"])["digest"]
    assert came["arm64_gpu"]["platforms"] == ["arm64_gpu"]
    assert digest != came["arm64"]["result"]["digest"]
    config = _config(registry, tmp_path, digest)
    assert config["architecture"] == "arm64"
    environment = dict(text.split("=", 1) for text in config["config"]["Env"])
    assert environment["CHASSIS_ACCELERATOR"] == "cuda"
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert "compute" in environment["NVIDIA_DRIVER_CAPABILITIES"]


def test_nothing_of_the_password_is_kept(came: dict) -> None:
    assert PASSWORD not in json.dumps(came)

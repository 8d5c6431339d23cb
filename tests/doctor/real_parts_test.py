"""Real bases, a real server layer and a real wheel: right together, and wrong together."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chassis.declaration.pythons import DEFAULT_PYTHON
from chassis.doctor.diagnosis import Diagnosis, examine
from chassis.doctor.extraction import extract
from chassis.doctor.facts import LayerFacts
from chassis.doctor.image import Image, ImageTarget
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.wheel import add_wheel
from tests.doctor.real_parts import START, facts_of


@pytest.fixture(scope="module")
def numpy(tmp_path_factory: pytest.TempPathFactory) -> LayerFacts:
    """The facts of NumPy's wheel for amd64, made into a layer here."""
    (wheel,) = Path(os.environ["RUNFILES_DIR"]).glob("*numpy*/**/numpy-*.whl")
    directory = tmp_path_factory.mktemp("numpy")
    outputs = LayerOutputs(directory / "layer", directory / "json", directory / "files")
    layer = write_layer(outputs, lambda writer: add_wheel(writer, wheel, "opt/venv", DEFAULT_PYTHON))
    return extract(outputs.blob, layer.descriptor, layer.origin, trusted=True)


def _diagnose(architecture: str, *layers: LayerFacts) -> Diagnosis:
    return examine(Image(ImageTarget(architecture), START, layers))


def test_parts_for_one_machine_are_right(numpy: LayerFacts) -> None:
    diagnosis = _diagnose("amd64", facts_of("BASE_AMD64"), facts_of("SERVER"), numpy)
    # The server's own wheels are not among these layers, nor needed: it declares nothing.
    assert diagnosis.findings == ()


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_base_alone_is_right(architecture: str) -> None:
    diagnosis = _diagnose(architecture, facts_of(f"BASE_{architecture.upper()}"), facts_of("SERVER"))
    assert diagnosis.findings == ()


def test_wheel_for_amd64_on_arm64_is_found(numpy: LayerFacts) -> None:
    diagnosis = _diagnose("arm64", facts_of("BASE_ARM64"), facts_of("SERVER"), numpy)
    codes = {finding.code for finding in diagnosis.findings}
    assert codes == {"ELF001", "PY007"}
    wrong = [finding.path for finding in diagnosis.findings if finding.code == "ELF001"]
    assert sorted(wrong) == sorted(path for path, _ in numpy.elves)


def test_wheel_without_its_own_libraries_is_found(numpy: LayerFacts) -> None:
    # As an image without the base's libstdc++ would be, and without what NumPy grafted.
    kept = tuple(file for file in numpy.files if "numpy.libs/" not in file.path)
    less = LayerFacts(numpy.digest, numpy.origin, kept, numpy.elves, numpy.distributions)
    diagnosis = _diagnose("amd64", facts_of("BASE_AMD64"), facts_of("SERVER"), less)
    assert {finding.code for finding in diagnosis.findings} == {"ELF002"}
    assert any("libscipy_openblas64_" in finding.defect for finding in diagnosis.findings)

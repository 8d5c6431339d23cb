"""What the index serves most has no false finding: facts of real wheels, with the base and the server of today."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from chassis.doctor.diagnosis import Diagnosis, examine
from chassis.doctor.facts import LayerFacts
from chassis.doctor.image import Image, ImageTarget
from tests.doctor.popular_wheels.recorded_facts import read_record, write_record
from tests.doctor.real_parts import START, facts_of

ARCHITECTURES = ("amd64", "arm64")
RECORD = "record anew with: ./bazelw run //tests/doctor/popular_wheels:record"
FOLDER = Path(os.environ["POPULAR"]).parent


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def wheels(architecture: str, tmp_path: Path) -> tuple[LayerFacts, ...]:
    return read_record(text(architecture), tmp_path)


def text(architecture: str) -> str:
    return (FOLDER / f"facts_{architecture}.json").read_text()


def diagnose(architecture: str, wheels: tuple[LayerFacts, ...]) -> Diagnosis:
    layers = (facts_of(f"BASE_{architecture.upper()}"), *wheels, facts_of("SERVER"))
    return examine(Image(ImageTarget(architecture), START, layers))


def distributions(layers: tuple[LayerFacts, ...]) -> dict[str, str]:
    found = [one for layer in layers for one in layer.distributions]
    return {re.sub(r"[-_.]+", "-", one.name).lower(): one.version for one in found}


def test_nothing_is_found_in_them(architecture: str, wheels: tuple[LayerFacts, ...]) -> None:
    assert diagnose(architecture, wheels).findings == ()


def test_the_record_is_of_the_lock(architecture: str, wheels: tuple[LayerFacts, ...]) -> None:
    lock = (FOLDER / f"linux_{architecture}.txt").read_text()
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", lock, re.MULTILINE))
    recorded = distributions(wheels)
    assert {name: recorded.get(name) for name in pinned} == pinned, RECORD


def test_at_least_twenty_have_native_code(wheels: tuple[LayerFacts, ...]) -> None:
    assert len([layer for layer in wheels if layer.elves]) >= 20


def test_the_record_is_small() -> None:
    assert sum(len(text(architecture)) for architecture in ARCHITECTURES) < 1_000_000


def test_reading_and_writing_gives_the_record(architecture: str, wheels: tuple[LayerFacts, ...]) -> None:
    assert write_record(wheels) == text(architecture)


def test_the_record_is_enough_to_find_what_is_wrong(architecture: str, wheels: tuple[LayerFacts, ...]) -> None:
    """Without the libraries that wheels bring along, with a distribution less, and for the other CPU."""
    bare = [replace(one, files=tuple(file for file in one.files if ".libs/" not in file.path)) for one in wheels]
    lacking = {finding.layer.split()[1] for finding in diagnose(architecture, tuple(bare)).findings}
    assert {"numpy", "pillow", "scipy"} <= lacking
    less = tuple(one for one in wheels if one.distributions[0].name != "numpy")
    assert [finding.layer for finding in diagnose(architecture, less).findings if "numpy" in finding.defect]
    (other,) = set(ARCHITECTURES) - {architecture}
    codes = {finding.code for finding in diagnose(other, wheels).findings}
    assert {"ELF001", "PY007"} <= codes

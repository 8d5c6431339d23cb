"""Every sick image is found sick, with its code and its file and nothing else; the healthy ones are found healthy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chassis.doctor.codes import CODES
from chassis.doctor.diagnosis import Diagnosis
from chassis.errors import ChassisError
from tests.doctor.image_plan import BuiltImage, Plan, healthy
from tests.doctor.sick_images import COLLECTION
from tests.doctor.sickness import Sickness
from tests.doctor.well_images import WELL


def _found(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    return [(finding.code, finding.path) for finding in diagnosis.findings]


@pytest.mark.parametrize("sickness", COLLECTION, ids=lambda sickness: sickness.name)
def test_sickness_is_found_with_its_code_and_nothing_else(sickness: Sickness, tmp_path: Path) -> None:
    built = BuiltImage(sickness.plan(), tmp_path)
    diagnosis = built.diagnose_as_built()
    assert sorted(_found(diagnosis)) == sorted(sickness.expected)
    first = next(finding for finding in diagnosis.findings if finding.code == sickness.expected[0][0])
    assert sickness.says in first.defect
    assert first.remedy
    assert first.layer
    # The finished image tells the same as its layers did one by one.
    assert _found(built.diagnose_layout()) == _found(diagnosis)


@pytest.mark.parametrize("change", WELL, ids=lambda change: change.__name__)
@pytest.mark.parametrize("architecture", ["arm64", "amd64"])
def test_nothing_is_found_where_nothing_is_wrong(
    change: Callable[[Plan], None], architecture: str, tmp_path: Path
) -> None:
    plan = healthy(architecture)
    change(plan)
    built = BuiltImage(plan, tmp_path)
    assert _found(built.diagnose_as_built()) == []
    assert _found(built.diagnose_layout()) == []


def test_collection_has_every_code() -> None:
    assert len(COLLECTION) >= 30
    assert {code for sickness in COLLECTION for code, _ in sickness.expected} == CODES.keys()


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_layers_of_any_compression_are_read(compression: str, tmp_path: Path) -> None:
    sickness = next(item for item in COLLECTION if item.name == "executable_stack")
    plan = sickness.plan()
    plan.compression = compression  # type: ignore[assignment]
    assert _found(BuiltImage(plan, tmp_path).diagnose_as_built()) == list(sickness.expected)


def test_waiver_takes_its_findings_away_and_keeps_them_in_sight(tmp_path: Path) -> None:
    sickness = next(item for item in COLLECTION if item.name == "executable_stack")
    plan = sickness.plan()
    plan.allow = {"ELF005:opt/venv/*/_core.so": "the JIT needs it", "ELF004": "covers nothing"}
    diagnosis = BuiltImage(plan, tmp_path).diagnose_as_built()
    assert _found(diagnosis) == []
    ((finding, waiver),) = diagnosis.waived
    assert (finding.code, waiver.reason) == ("ELF005", "the JIT needs it")
    assert [waiver.key for waiver in diagnosis.unused] == ["ELF004"]


def test_waiver_of_another_path_waives_nothing(tmp_path: Path) -> None:
    sickness = next(item for item in COLLECTION if item.name == "executable_stack")
    plan = sickness.plan()
    plan.allow = {"ELF005:opt/venv/*/_other.so": "not this one"}
    assert _found(BuiltImage(plan, tmp_path).diagnose_as_built()) == list(sickness.expected)


def test_a_cpu_that_is_not_known_is_no_cpu_to_examine_for(tmp_path: Path) -> None:
    plan = healthy("amd64")
    plan.cpu = "cortex-a57"
    with pytest.raises(ChassisError, match=r"knows no CPU 'cortex-a57'; it knows x86-64-v1, x86-64-v2"):
        BuiltImage(plan, tmp_path).diagnose_layout()


def test_no_finding_shows_a_secret(tmp_path: Path) -> None:
    for number, sickness in enumerate(item for item in COLLECTION if item.expected[0][0].startswith("SEC")):
        directory = tmp_path / str(number)
        directory.mkdir()
        for finding in BuiltImage(sickness.plan(), directory).diagnose_as_built().findings:
            said = finding.defect + finding.remedy
            assert not any(secret in said for secret in ("hunter2", "swordfish", "hf_aB3", "ghp_a1", "MIIE", "bWU6"))

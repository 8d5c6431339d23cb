"""The report: one place for what is one defect, with what to do."""

from __future__ import annotations

import json

from chassis.doctor.diagnosis import Diagnosis
from chassis.doctor.examination import Examination
from chassis.doctor.facts import LayerFacts, Start
from chassis.doctor.finding import Finding
from chassis.doctor.image import Image, ImageTarget
from chassis.doctor.report import findings_text, report_json, report_text
from chassis.doctor.waivers import read_waivers
from chassis.oci.descriptor import LayerFile, Origin

_LAYER = LayerFacts(
    "sha256:" + "0123456789ab" * 5 + "0123", Origin("wheel", "x", "1.0"), (LayerFile("a", "file", 0o644),)
)
_EXAMINATION = Examination("//model:image", Image(ImageTarget("arm64", cpu="cortex-a57"), Start(), (_LAYER,)), ())
_FINDINGS = tuple(
    Finding("ELF001", "wheel x 1.0", f"lib/{number}.so", "is for x86_64", "take the other") for number in range(5)
)


def test_nothing_found_says_so() -> None:
    diagnosis = Diagnosis((), (), (), ())
    assert findings_text(_EXAMINATION, diagnosis) == ""
    assert "No findings." in report_text(_EXAMINATION, diagnosis)
    assert "linux/arm64, CPU cortex-a57" in report_text(_EXAMINATION, diagnosis)


def test_files_of_one_defect_stand_together() -> None:
    said = findings_text(_EXAMINATION, Diagnosis(_FINDINGS, (), (), ()))
    assert said.count("is for x86_64") == 1
    assert "/lib/2.so\n    and 2 more files\n" in said
    assert "5 findings of the doctor" in said
    assert 'doctor_allow = {"ELF001": "…"}' in said
    assert "bazel run //model:image.doctor" in said


def test_waived_findings_are_shown_with_their_reason_and_stale_waivers_named() -> None:
    used, stale = read_waivers({"ELF001": "they are test data", "ELF004": "old"})
    said = report_text(_EXAMINATION, Diagnosis((), ((_FINDINGS[0], used),), (), (stale,)))
    assert "ELF001: they are test data" in said
    assert "The waiver ELF004 covers nothing in this image." in said


def test_report_for_programs_has_every_finding() -> None:
    document = json.loads(report_json(_EXAMINATION, Diagnosis(_FINDINGS, (), (), ())))
    assert [finding["path"] for finding in document["findings"]] == [finding.path for finding in _FINDINGS]
    assert document["target"]["cpu"] == "cortex-a57"

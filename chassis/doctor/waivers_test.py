"""Waivers are for known codes, with a reason, for as much as they say."""

from __future__ import annotations

import json

import pytest

from chassis.doctor.finding import Finding
from chassis.doctor.waivers import LABEL, WaiverError, read_waivers, waivers_of_labels

_FINDING = Finding("ELF005", "wheel x 1.0", "opt/venv/lib/x/_core.so", "asks for it", "do this")
COVERED = {
    "ELF005": True,
    "ELF005:*": True,
    "ELF005:opt/venv/lib/x/*": True,
    "ELF005:/opt/venv/*/_core.so": True,
    "ELF005:opt/venv/lib/y/*": False,
    "ELF004": False,
}
BAD = {
    "ELF999": "neither a code nor",
    "elf005": "neither a code nor",
    "": "neither a code nor",
    "ELF005:": "neither a code nor",
}


@pytest.mark.parametrize("key", COVERED)
def test_waiver_covers_its_code_and_paths(key: str) -> None:
    (waiver,) = read_waivers({key: "because"})
    assert waiver.covers(_FINDING) is COVERED[key]


def test_a_subject_narrows_a_waiver_to_it() -> None:
    path = "opt/venv/lib/python3.11/site-packages/xgboost-3.2.0.dist-info/METADATA"
    missing = Finding("PY001", "wheel xgboost 3.2.0", path, "requires it", "add it", subject="nvidia-nccl-cu12")
    other = Finding("PY001", "wheel xgboost 3.2.0", path, "requires it", "add it", subject="numpy")
    for key in ("PY001(nvidia-nccl-cu12)", "PY001(nvidia-nccl-cu12):*/xgboost-*"):
        (waiver,) = read_waivers({key: "one machine"})
        assert (waiver.covers(missing), waiver.covers(other)) == (True, False)
    (waiver,) = read_waivers({"PY001(nvidia-nccl-cu12):other/*": "one machine"})
    assert not waiver.covers(missing)


@pytest.mark.parametrize("key", BAD)
def test_waiver_of_no_code_is_refused(key: str) -> None:
    with pytest.raises(WaiverError, match=BAD[key]):
        read_waivers({key: "because"})


def test_waiver_without_reason_is_refused() -> None:
    with pytest.raises(WaiverError, match="has no reason"):
        read_waivers({"ELF005": " "})


def test_waivers_of_a_built_image_are_in_its_label() -> None:
    assert waivers_of_labels({LABEL: json.dumps({"ELF005": "because"})}) == {"ELF005": "because"}
    assert waivers_of_labels({}) == {}
    assert waivers_of_labels({LABEL: "{"}) == {}
    assert waivers_of_labels({LABEL: "[]"}) == {}

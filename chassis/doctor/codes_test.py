"""The codes are the same in the table, in the rules and in the guide."""

from __future__ import annotations

import re
from pathlib import Path

from chassis.doctor.codes import CODES

_ROOT = Path(__file__).parent.parent.parent


def test_rules_know_the_same_codes() -> None:
    listed = re.findall(r'^    "(\w+)",$', (_ROOT / "rules/private/doctor/doctor_codes.bzl").read_text(), re.M)
    assert listed == list(CODES)


def test_guide_has_a_row_for_each_code() -> None:
    rows = re.findall(r"^\| `(\w+\d{3})` \| (.*) \| (.*) \|$", (_ROOT / "docs/doctor.md").read_text(), re.M)
    assert rows == [(code.name, code.title, code.consequence) for code in CODES.values()]

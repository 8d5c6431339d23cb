"""What `chassis_image` and its `.doctor` target make of findings and of waivers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path


def _report(variable: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([os.environ[variable], *arguments], capture_output=True, text=True, timeout=60)


def test_report_of_a_sick_image_is_printed_though_the_image_does_not_build() -> None:
    done = _report("SICK_DOCTOR")
    assert done.returncode == 1
    assert "SEC001 file with credentials, in data //tests/doctor:careless" in done.stdout
    assert "/app/data/netrc\n    holds netrc credentials" in done.stdout
    assert "hunter2" not in done.stdout


def test_report_for_programs() -> None:
    done = _report("SICK_DOCTOR", "--json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert [finding["code"] for finding in document["findings"]] == ["SEC001"]
    assert document["image"] == "//tests/doctor:sick"


def test_waived_finding_is_in_the_report_with_its_reason() -> None:
    done = _report("WAIVED_DOCTOR")
    assert done.returncode == 0
    assert "No findings." in done.stdout
    assert "SEC001:app/data/*: a test needs one" in done.stdout


def test_waiver_is_recorded_in_the_image() -> None:
    layout = Path(os.environ["WAIVED"])
    index = json.loads((layout / "index.json").read_bytes())
    manifest = _document(layout, index["manifests"][0])
    labels = _document(layout, manifest["config"])["config"]["Labels"]
    assert json.loads(labels["dev.chassis.doctor.allow"]) == {"SEC001:app/data/*": "a test needs one"}


def test_layers_of_a_base_layout_are_examined_too() -> None:
    document = json.loads(_report("ON_A_LAYOUT_DOCTOR", "--json").stdout)
    assert document["findings"] == []
    found = {(waived["code"], waived["layer"]) for waived in document["waived"]}
    assert ("SEC001", "data //tests/doctor:careless 0.0.1") in found
    assert ("FILE001", "model //tests/doctor:careful 0.0.1") in found


def _document(layout: Path, descriptor: dict) -> dict:
    return json.loads((layout / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")).read_bytes())

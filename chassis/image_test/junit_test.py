"""The report that Bazel reads."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from chassis.image_test.junit import Result, write_report


def test_the_report_holds_every_case_and_the_log_of_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    write_report(path, "//model:test", [Result("good", 0.5), Result("bad\x00", 0.25, "differs\n\x1b[1m")], "log\x07")
    suite = ElementTree.parse(path).getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("time")) == ("2", "1", "0.750")
    assert [case.get("name") for case in suite.iter("testcase")] == ["good", "bad\ufffd"]
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert (failure.get("message"), failure.text) == ("differs", "differs\n\ufffd[1m")
    assert suite.findtext("system-err") == "log\ufffd"


def test_without_failure_there_is_no_log(tmp_path: Path) -> None:
    write_report(tmp_path / "r.xml", "t", [Result("good", 0.5)], "log")
    assert "log" not in (tmp_path / "r.xml").read_text()

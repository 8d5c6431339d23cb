"""The test report that Bazel reads from `$XML_OUTPUT_FILE`: JUnit's XML, one test case for each case."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

# What XML 1.0 cannot hold, section 2.2.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Result:
    """How one case ended: `failure` is empty if it passed; `seconds` is how long it took."""

    name: str
    seconds: float
    failure: str = ""


def write_report(path: Path, suite: str, results: Sequence[Result], log: str) -> None:
    """Writes the report; `log` is shown with it if a case failed."""
    failures = sum(bool(result.failure) for result in results)
    counts = {"tests": str(len(results)), "failures": str(failures), "errors": "0"}
    seconds = f"{sum(result.seconds for result in results):.3f}"
    root = ElementTree.Element("testsuites")
    element = ElementTree.SubElement(root, "testsuite", {"name": suite, "time": seconds, **counts})
    for result in results:
        attributes = {"name": _legal(result.name), "classname": suite, "time": f"{result.seconds:.3f}"}
        case = ElementTree.SubElement(element, "testcase", attributes)
        if result.failure:
            first = _legal(result.failure).splitlines()[0]
            ElementTree.SubElement(case, "failure", {"message": first}).text = _legal(result.failure)
    if failures:
        ElementTree.SubElement(element, "system-err").text = _legal(log)
    path.write_bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)

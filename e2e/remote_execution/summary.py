"""What a build did and made, in words that a shell compares.

processes EVENTS      how many actions ran how: `48 internal, 69 remote`
local EVENTS          those that ran neither remotely nor inside Bazel
executed EVENTS       those that no cache had
phases EVENTS         seconds of loading, with what it fetches, and analysis, and of actions
test EVENTS           outcome and place of each test
digest LAYOUT         of the one image of an OCI layout
recorded FILE PLATFORM, endpoint FILE, received FILE
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SECONDS_TO_SETTLE = 0.5  # the proxy writes its totals ten times a second


def _events(file: str) -> Iterator[dict[str, Any]]:
    for line in Path(file).read_text().splitlines():
        yield json.loads(line)


def _processes(file: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for event in _events(file):
        for runner in event.get("buildMetrics", {}).get("actionSummary", {}).get("runnerCount", []):
            counts[runner["name"]] = runner["count"]
    counts.pop("total", None)
    if not counts:
        sys.exit(f"{file} does not say what ran")
    return counts


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _phases(file: str) -> str:
    [timing] = [event["buildMetrics"]["timingMetrics"] for event in _events(file) if "buildMetrics" in event]
    parts = {"analysis": "analysisPhaseTimeInMs", "actions": "executionPhaseTimeInMs"}
    return ", ".join(f"{int(timing.get(key, 0)) / 1000:.0f} s of {name}" for name, key in parts.items())


def main(what: str, *arguments: str) -> str:
    file = arguments[0]
    if what in ("processes", "local", "executed"):
        passed = {
            "processes": [],
            "local": ["internal", "remote", "remote cache hit"],
            "executed": ["internal", "remote cache hit"],
        }
        return _words({name: count for name, count in _processes(file).items() if name not in passed[what]})
    if what == "phases":
        return _phases(file)
    if what == "test":
        found = [event["testResult"] for event in _events(file) if "testResult" in event]
        return ", ".join(f"{each['status']} {each['executionInfo'].get('strategy', '')}" for each in found)
    if what == "received":
        time.sleep(_SECONDS_TO_SETTLE)
    content = json.loads(Path(file, "index.json").read_bytes() if what == "digest" else Path(file).read_bytes())
    if what == "digest":
        return str(content["manifests"][0]["digest"])
    return str(content[arguments[1] if what == "recorded" else what])


if __name__ == "__main__":
    print(main(*sys.argv[1:]))

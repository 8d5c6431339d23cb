"""Counts tests in Bazel's build events (--build_event_json_file) and prints `N passed, N failed`.

Each test target of each file counts once. A target that was to be tested and was not counts as failed; exit status 1 if
any failed or none ran.
"""

import json
import sys
from pathlib import Path


def outcomes(path):
    """Yields (label, passed) for each test target that the invocation was to run."""
    wanted, seen = set(), {}
    for line in path.read_text().splitlines():
        event = json.loads(line)
        identity = event["id"]
        if "targetConfigured" in identity and event.get("configured", {}).get("testSize"):
            wanted.add(identity["targetConfigured"]["label"])
        if "testSummary" in identity:
            label = identity["testSummary"]["label"]
            # An invocation that breaks off says `aborted` in place of a summary.
            seen[label] = event.get("testSummary", {}).get("overallStatus") in ("PASSED", "FLAKY")
    for label in sorted(wanted | set(seen)):
        yield label, seen.get(label, False)


def main(paths):
    passed = failed = 0
    for path in map(Path, paths):
        for label, good in outcomes(path):
            passed += good
            failed += not good
            if not good:
                print(f"FAILED {label} ({path.stem})")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

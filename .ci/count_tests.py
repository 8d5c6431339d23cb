"""Counts tests in Bazel's build events (--build_event_json_file) and prints `N passed, N failed`.

    count_tests.py EVENTS.json... STEP=passed|failed...

Each test target of each file counts once, and each step. A target that was to be tested and was not counts as failed,
as does a file without any; exit status 1 if any failed or none ran.
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


def main(arguments):
    results = []
    for argument in arguments:
        step, is_step, result = argument.partition("=")
        if is_step:
            results.append((step, result == "passed", "step"))
            continue
        path = Path(argument)
        try:
            found = [(label, good, path.stem) for label, good in outcomes(path)]
        except (OSError, json.JSONDecodeError) as error:
            found = [(f"its events are missing or broken: {error}", False, path.stem)]
        results += found or [("no test was run", False, path.stem)]
    for name, good, where in results:
        if not good:
            print(f"FAILED {name} ({where})")
    passed = sum(good for _, good, _ in results)
    print(f"{passed} passed, {len(results) - passed} failed")
    return 1 if passed < len(results) or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Runs pytest on the files that Bazel gives, and fails if it finds no test."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    arguments = ["-p", "no:cacheprovider", "-q", "--color=yes", "-o", "console_output_style=classic"]
    if os.environ.get("XML_OUTPUT_FILE"):
        arguments.append("--junitxml=" + os.environ["XML_OUTPUT_FILE"])
    if os.environ.get("TESTBRIDGE_TEST_ONLY"):
        arguments += ["-k", os.environ["TESTBRIDGE_TEST_ONLY"]]
    if os.environ.get("TEST_TMPDIR"):
        arguments.append(f"--basetemp={os.environ['TEST_TMPDIR']}/pytest")
    if importlib.util.find_spec("hypothesis"):
        import hypothesis

        # The same examples each time, and none too slow on a busy machine.
        hypothesis.settings.load_profile("ci")
    sys.exit(pytest.main([*arguments, f"--rootdir={Path(sys.argv[1]).parent}", *sys.argv[1:]]))

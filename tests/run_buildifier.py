"""Runs buildifier: checks the files that Bazel gives; without any, formats those of the repository."""

import os
import subprocess
import sys
from pathlib import Path

_NAMES = ("BUILD.bazel", "MODULE.bazel", "WORKSPACE")


def main(files: list[str]) -> int:
    program = os.environ["BUILDIFIER"]
    if files:
        status = subprocess.run([program, "-mode=diff", *files]).returncode
        if status:
            print("format with: bazel run //tests:buildifier")
        return status
    root = Path(os.environ["BUILD_WORKSPACE_DIRECTORY"])
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    found = [root / name for name in listed if name.endswith(".bzl") or Path(name).name in _NAMES]
    return subprocess.run([program, *filter(Path.is_file, found)]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

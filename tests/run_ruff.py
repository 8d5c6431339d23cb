"""Runs ruff's formatter and linter on the files that Bazel gives, with the repository's configuration."""

import os
import subprocess
import sys
from pathlib import Path

import ruff


def main(files: list[str]) -> int:
    program = Path(ruff.__file__).parent.parent / "bin/ruff"
    runfiles = Path(os.environ["RUNFILES_DIR"])
    configurations = [path for path in runfiles.glob("*/pyproject.toml") if "[tool.ruff]" in path.read_text()]
    if len(configurations) != 1:
        print(f"expected one pyproject.toml with ruff's configuration in {runfiles}, found {configurations}")
        return 1
    options = ["--no-cache", "--config", str(configurations[0])]
    failed = 0
    for command in (["format", "--diff"], ["check", "--quiet"]):
        failed |= subprocess.run([program, *command, *options, *files]).returncode
    if failed:
        print("format with: ruff format; see what is left with: ruff check --fix")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

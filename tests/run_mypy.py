"""Runs mypy on the files that Bazel gives, with the repository's configuration; each is the module of its path."""

import os
import sys
from pathlib import Path

from mypy import api


def main(files: list[str]) -> int:
    runfiles = Path(os.environ["RUNFILES_DIR"])
    configurations = [path for path in runfiles.glob("*/pyproject.toml") if "[tool.mypy]" in path.read_text()]
    if len(configurations) != 1:
        print(f"expected one pyproject.toml with mypy's configuration in {runfiles}, found {configurations}")
        return 1
    root = configurations[0].parent
    os.environ["MYPYPATH"] = str(root)
    options = ["--config-file", str(configurations[0]), "--no-site-packages", "--cache-dir", os.devnull]
    os.chdir(root)
    found, failure, status = api.run([*options, *(os.path.relpath(file, root) for file in files)])
    print(found + failure, end="")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

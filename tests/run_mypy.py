"""Runs mypy on the files that Bazel gives, with the repository's configuration; each is the module of its path.

Options of mypy may come before the files.
"""

import os
import sys
from pathlib import Path

from mypy import api


def main(args: list[str]) -> int:
    runfiles = Path(os.environ["RUNFILES_DIR"])
    configurations = [path for path in runfiles.glob("*/pyproject.toml") if "[tool.mypy]" in path.read_text()]
    if len(configurations) != 1:
        print(f"expected one pyproject.toml with mypy's configuration in {runfiles}, found {configurations}")
        return 1
    root = configurations[0].parent
    os.environ["MYPYPATH"] = str(root)
    files = [os.path.relpath(arg, root) for arg in args if not arg.startswith("--")]
    options = [arg for arg in args if arg.startswith("--")]
    options += ["--config-file", str(configurations[0]), "--no-site-packages", "--cache-dir", os.devnull]
    os.chdir(root)
    found, failure, status = api.run([*options, *files])
    print(found + failure, end="")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

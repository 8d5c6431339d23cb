"""`bazel run //docs:update`: writes docs/reference, and what Starlark has of Python's tables, anew."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from chassis.reference.pages import written_files


def main(argv: Sequence[str]) -> None:
    """Writes what has changed, and says what."""
    workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    if not workspace:
        raise ChassisError("this writes into the repository that `bazel run` was called in: bazel run //docs:update")
    for name, content in written_files().items():
        path = Path(workspace, name)
        if path.is_file() and path.read_text() == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        print(f"wrote {name}")


if __name__ == "__main__":
    run_main(main)

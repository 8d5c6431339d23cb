"""Where an action finds a directory of another repository that came with the runfiles of a tool."""

from __future__ import annotations

from pathlib import Path


def staged(path: str) -> Path:
    """The path of what rules name as `TOOL.runfiles/REPOSITORY/…`, relative as that is.

    Locally, and on a remote engine since Bazel 8.3, it is there. Bazel before that stages a directory that is a source
    of a repository for an engine where the execution root has it: at `external/REPOSITORY/…`.
    """
    found = Path(path)
    _, mark, inside = path.partition(".runfiles/")
    elsewhere = Path("external", inside)
    return elsewhere if mark and not found.exists() and elsewhere.exists() else found

"""Where temporary files go that are programs, or large: not every /tmp has room or lets programs run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from chassis.sandbox.errors import SandboxError


def scratch_place(beside: Path | None = None) -> Path:
    """A writable directory on a disk that lets programs run, to make temporary ones in.

    Args:
      beside: a directory to prefer, such as that of an action's output. Else it is Bazel's TEST_TMPDIR, or TMPDIR.

    Raises:
      SandboxError: no such place is writable and lets programs run.
    """
    tried: list[str] = []
    for place in _places(beside):
        if not os.access(place, os.W_OK | os.X_OK):
            tried.append(f"{place} is not writable")
        elif os.statvfs(place).f_flag & os.ST_NOEXEC:
            tried.append(f"{place} is mounted with noexec")
        else:
            return place.resolve()
    raise SandboxError(
        f"there is no directory for temporary programs: {', '.join(tried)}\n"
        "  set TMPDIR to a writable directory on a disk that is mounted without noexec"
    )


def _places(beside: Path | None) -> Iterable[Path]:
    named = [
        str(beside or ""),
        os.environ.get("TEST_TMPDIR", ""),
        os.environ.get("TMPDIR", ""),
        "/tmp",
        "/var/tmp",
        ".",
    ]
    return dict.fromkeys(Path(name) for name in named if name and Path(name).is_dir())

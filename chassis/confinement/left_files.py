"""Reads what confined code left behind: a link that it made in a file's place would be followed outside its walls."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def is_plain(path: Path) -> bool:
    """Whether it is a regular file under one name: no link of either kind, no pipe."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def read_regular(path: Path, most: int | None = None) -> bytes | None:
    """The file's content, of at most `most` bytes; None if it is a link, a pipe, too large, or not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or (most is not None and status.st_size > most):
            return None
        return file.read()

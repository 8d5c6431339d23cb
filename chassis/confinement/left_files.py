"""Reads and removes what confined code left behind: links that lead outside of its walls, directories without end."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

_AT_ONCE = 10_000
"""Names of a directory that are held in memory."""


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


@contextlib.contextmanager
def scratch_directory(prefix: str, place: Path | None = None) -> Iterator[Path]:
    """A directory for code that is not trusted, below `place` or the system's; it goes, whatever was made there."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    try:
        yield path
    finally:
        remove_left(path)


def remove_left(path: Path) -> None:
    """Removes a directory with all below it, however deep: also what no path is long enough to name, for which neither
    `shutil.rmtree` nor Bazel has a way. No link is followed. What cannot be removed stays.

    Nothing may be made there meanwhile; something else may remove it, too.
    """
    with contextlib.suppress(OSError):
        root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _empty(root)
        finally:
            os.close(root)
        path.rmdir()


def _empty(root: int) -> None:
    """Takes a tree apart: the directories in a directory are moved up, beside it, so that it can go."""
    fresh = (f".left-{secrets.token_hex(16)}" for _ in itertools.count())  # names that nobody there can have guessed
    stuck: set[str] = set()
    while names := [name for name in _names(root) if name not in stuck]:
        for name in names:
            try:
                if not _removed(root, name):
                    _take_apart(root, name, fresh)
            except OSError:
                stuck.add(name)


def _removed(directory: int, name: str) -> bool:
    """Removes a file, a link or an empty directory; False for a directory with something in it, which is opened up."""
    try:
        if not stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=directory)
            return True
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=directory)
            return True
        os.chmod(name, 0o700, dir_fd=directory)
    except FileNotFoundError:
        return True
    return False


def _take_apart(root: int, name: str, fresh: Iterator[str]) -> None:
    child = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    try:
        while inner := _names(child):
            for each in inner:
                if not _removed(child, each):
                    os.rename(each, next(fresh), src_dir_fd=child, dst_dir_fd=root)
    finally:
        os.close(child)
    os.rmdir(name, dir_fd=root)


def _names(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in itertools.islice(entries, _AT_ONCE)]

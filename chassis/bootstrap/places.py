"""Where the fetched Bazel and everything about it lies: one directory of the user's, nothing outside it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from chassis.bootstrap.progress import Progress
from chassis.errors import ChassisError
from chassis.user_cache import user_cache

FORMAT = "1"
"""The layout of the directory; `bazelw` has the same number, and another one means that all is made anew."""


class Places(NamedTuple):
    """The directory `$CHASSIS_CACHE/bazel` and the names in it."""

    root: Path

    @property
    def lock(self) -> Path:
        """Locked (flock) while a Bazel is being chosen or fetched."""
        return self.root / "lock"

    @property
    def choice(self) -> Path:
        """Which Bazel to run; see `choice.py`."""
        return self.root / f"choice-{FORMAT}"

    @property
    def certificates(self) -> Path:
        """The certificates that a fetched Bazel trusts; empty if the machine has none. See `certificates.py`."""
        return self.root / "certificates.jks"

    @property
    def downloads(self) -> Path:
        """Verified packages and wheels; removed once they are unpacked."""
        return self.root / "downloads"

    @property
    def apt(self) -> Path:
        """apt's private state."""
        return self.root / "apt"

    @property
    def trees(self) -> Path:
        """The finished Bazels, each whole."""
        return self.root / "trees"

    @property
    def settings(self) -> Path:
        """One generated bazelrc for each workspace."""
        return self.root / "workspaces"


def find_places(environment: Mapping[str, str]) -> Places:
    """`bazel` below the user's cache.

    Raises `ChassisError` if none of the three is set or the directory cannot be made.
    """
    base = user_cache(environment)
    if base is None:
        raise ChassisError("no place for Bazel: neither CHASSIS_CACHE nor XDG_CACHE_HOME nor HOME is set")
    root = base.absolute() / "bazel"
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ChassisError(
            f"{root} cannot be made ({error.strerror}); set CHASSIS_CACHE to a writable directory"
        ) from error
    if not os.access(root, os.W_OK | os.X_OK):
        raise ChassisError(f"{root} is not writable; set CHASSIS_CACHE to a directory that is")
    return Places(root)


@contextmanager
def locked(places: Places, progress: Progress) -> Iterator[None]:
    """Holds `places.lock` (flock, so that it ends with the process); says so if that takes waiting."""
    with places.lock.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            progress.say("another bazelw is at work here; waiting for it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield

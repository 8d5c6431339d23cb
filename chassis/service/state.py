"""Where the service keeps its jobs, logs, images and caches."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import BinaryIO

from chassis.errors import ChassisError


class StateInUseError(ChassisError):
    """Another process works in the directory."""


def state_directory(given: str = "") -> Path:
    """`given`, or `chassis/service` in the user's cache directory, made if it is missing. Only its owner can enter it.

    Raises:
      ChassisError: it cannot be made, the user has no home, or the directory is another user's.
    """
    if given:
        path = Path(given)
    elif os.environ.get("XDG_CACHE_HOME"):
        path = Path(os.environ["XDG_CACHE_HOME"]) / "chassis" / "service"
    elif os.environ.get("HOME"):
        path = Path(os.environ["HOME"]) / ".cache" / "chassis" / "service"
    else:
        raise ChassisError("no place for jobs: neither --state nor XDG_CACHE_HOME nor HOME is set")
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = path.resolve()
        owner = path.stat().st_uid
        if owner != os.geteuid():
            raise ChassisError(
                f"{path} belongs to another user (uid {owner}), who could change jobs and read uploads: give --state "
                "a directory of your own"
            )
        path.chmod(0o700)
    except OSError as error:
        raise ChassisError(f"{path}: {error.strerror}") from None
    return path


def hold_directory(root: Path) -> BinaryIO:
    """A lock on `root` that the kernel lets go of when this process ends, however it does.

    Raises:
      StateInUseError: another process has it.
    """
    file = (root / "lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StateInUseError(
            f"{root} is used by another process of the service: stop it, or give another directory"
        ) from None
    return file

"""A control group of the kernel's own with a limit of memory, as a container has: cgroup v1 or v2."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from chassis.runtime.cgroup import cgroup_directories

_V1, _V2 = "memory.limit_in_bytes", "memory.max"
_EMPTY_SECONDS = 10.0
_PAUSE = 0.01


class NoControlGroupError(Exception):
    """No control group can be made here; the message says why."""


class ControlGroup:
    """A group below this process' own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def prefix(self) -> tuple[str, ...]:
        """A command that starts another within the group."""
        return ("sh", "-c", f'echo $$ > {self._directory}/cgroup.procs && exec "$@"', "sh")

    def killed(self) -> int:
        """How many processes the kernel has ended for want of memory."""
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                fields = dict(line.split(" ", 1) for line in (self._directory / name).read_text().splitlines())
                return int(fields["oom_kill"])
        raise AssertionError(f"{self._directory} does not say what the kernel ended")


@contextlib.contextmanager
def memory_group(limit: int) -> Iterator[ControlGroup]:
    """Makes a group whose processes may use `limit` bytes together, and none of swap.

    Raises:
      NoControlGroupError: the kernel, or who may write there, does not let us.
    """
    directory = _made()
    try:
        _bound(directory, limit)
        yield ControlGroup(directory)
    finally:
        until = time.monotonic() + _EMPTY_SECONDS
        while directory.exists():  # processes that were just ended may still be in it
            try:
                directory.rmdir()
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(_PAUSE)


def _made() -> Path:
    reason = "there is no control group of memory in /sys/fs/cgroup"
    for parent in map(Path, cgroup_directories("/", "memory")):
        directory = parent / f"chassis_test_{os.getpid()}"
        try:
            directory.mkdir()
        except OSError as error:
            reason = f"{directory}: {error.strerror}"
            continue
        if any((directory / name).exists() for name in (_V1, _V2)):
            return directory
        directory.rmdir()
        reason = f"{parent} has no controller of memory for its groups"
    raise NoControlGroupError(reason)


def _bound(directory: Path, limit: int) -> None:
    unified = (directory / _V2).exists()
    (directory / (_V2 if unified else _V1)).write_text(str(limit))
    # A kernel without accounting of swap has no such file.
    with contextlib.suppress(OSError):
        swap = ("memory.swap.max", "0") if unified else ("memory.memsw.limit_in_bytes", str(limit))
        (directory / swap[0]).write_text(swap[1])

"""What a program started and left behind: found, whoever its parent was, and ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

from chassis.confinement.errors import ConfinementError, NoWallsError

_PR_SET_CHILD_SUBREAPER = 36
_SECONDS = 20.0
_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """From now on a process whose parent has ended becomes a child of this one, however it detached itself."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise NoWallsError(f"orphans cannot be adopted: {os.strerror(ctypes.get_errno())}")


def end_descendants(of: int | None = None) -> None:
    """Ends every process below this one, which has adopted its orphans, and takes leave of each.

    Or below the process `of`, which has adopted its own; those are its to take leave of.

    Raises:
      ConfinementError: they start others faster than they can be ended.
    """
    end = time.monotonic() + _SECONDS
    own = of or os.getpid()
    while found := _descendants(own):
        for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none forks while the others end
            for pid in found:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            if number == signal.SIGSTOP:
                found = {*found, *_descendants(own)}
        if of is None:
            take_leave()
        if time.monotonic() > end:
            raise ConfinementError(f"processes of the model's code go on after it: {len(found)} are left")
    if of is None:
        take_leave()


def take_leave() -> None:
    """Of the children of this process that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _descendants(own: int) -> set[int]:
    """The living processes below the process `own`."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, ValueError):
                # PID (NAME) STATE PARENT …; a name may hold anything.
                state, parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
                if state not in "ZX":
                    parents[int(entry.name)] = int(parent)
    found = set[int]()
    for pid in parents:
        line = [pid]
        while line[-1] in parents and line[-1] not in (own, *found):
            line.append(parents[line[-1]])
        if line[-1] == own or line[-1] in found:
            found.update(line[:-1])
    found.discard(own)
    return found

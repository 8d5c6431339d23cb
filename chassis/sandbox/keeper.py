"""A process between this one and a program: when either ends, so does everything that the program has started.

A process namespace does this, if there is one. Without, what is started and detaches itself outlives the program.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path
from typing import NoReturn

from chassis.confinement.descendants import adopt_orphans, end_descendants

_PR_SET_PDEATHSIG = 1
_FIRST_DESCRIPTOR = 3
_libc = ctypes.CDLL(None, use_errno=True)


def keep() -> None:
    """To be called in a forked child, before it becomes the program: forks again, and returns in that one alone.

    The process in between ends as the program does (128 + the signal's number if one ended it), or on SIGTERM, or with
    the parent, and then ends all that is below it.
    """
    parent = os.getppid()
    adopt_orphans()
    child = os.fork()
    if child == 0:
        return
    status = 1
    try:
        status = _watch(child, parent)
        end_descendants()
    finally:
        os._exit(status)


def _watch(child: int, parent: int) -> int:
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Above all the one that tells the parent that the program has started.
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        with contextlib.suppress(OSError):
            if descriptor >= _FIRST_DESCRIPTOR:
                os.close(descriptor)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        _stop()
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _stop(*_: object) -> NoReturn:
    try:
        end_descendants()
    finally:
        os._exit(128 + signal.SIGTERM)

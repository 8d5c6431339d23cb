"""A process between a program and what it runs: it ends all of that when the program is gone, however it ended.

Bazel ends an action by SIGKILL, to its process group. A program that is killed like that ends nothing more, and what
has left its session would go on. The guardian is in a session of its own, adopts the orphans, and hears from the kernel
when the program ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
from collections.abc import Callable

from chassis.confinement.descendants import adopt_orphans, end_descendants
from chassis.confinement.errors import ConfinementError, NoWallsError

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class _Told(BaseException):
    """The program is gone."""


def in_guardian(work: Callable[[], object]) -> object:
    """What `work` returns, as JSON has it, from a process of its own; nothing runs any more of what it started.

    Raises:
      ConfinementError: `work` raises one, or the guardian was killed.
    """
    adopt_orphans()  # those of a guardian that was killed
    reader, writer = os.pipe()
    parent = os.getpid()
    guardian = os.fork()
    if not guardian:
        os.close(reader)
        _guard(work, parent, writer)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as answers:
            answer = answers.read()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(guardian, signal.SIGTERM)  # which it ignores if it has ended everything
        os.waitpid(guardian, 0)
        end_descendants()
    if not answer:
        raise ConfinementError("the process that watches over confined code was killed")
    result, error, lacks_walls = json.loads(answer)
    if error is not None:
        raise (NoWallsError if lacks_walls else ConfinementError)(error)
    return result


def start_guarded(
    start: Callable[[], subprocess.Popen[bytes]], at_end: Callable[[], None] | None = None
) -> tuple[int, int]:
    """Starts a program below a guardian; returns the process numbers of the guardian and the program.

    The guardian ends when the program does, when it is told to by SIGTERM, or when this process is gone; nothing runs
    any more then of what the program started, and `at_end` is called. It is this process's to wait for.

    Raises:
      ConfinementError: `start` raises one, or the program cannot be started.
    """
    reader, writer = os.pipe()
    parent = os.getpid()
    guardian = os.fork()
    if not guardian:
        os.close(reader)
        _keep(start, at_end, parent, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        answer = answers.read()
    process, error = json.loads(answer) if answer else (None, "the process that watches over it was killed")
    if process is None:
        os.waitpid(guardian, 0)
        raise ConfinementError(error)
    return guardian, process


def _keep(
    start: Callable[[], subprocess.Popen[bytes]], at_end: Callable[[], None] | None, parent: int, writer: int
) -> None:
    """What the guardian of a program that stays does; it does not return."""
    try:
        _begin(parent)
        answer: tuple[int | None, str | None]
        process = None
        try:
            process = start()
            answer = (process.pid, None)
        except (ConfinementError, OSError, subprocess.SubprocessError) as error:
            answer = (None, str(error))
        with os.fdopen(writer, "wb") as answers:
            answers.write(json.dumps(answer).encode())
        if process is not None:
            process.wait()
    except _Told:
        pass
    finally:
        _end(0, at_end)


def _begin(parent: int) -> None:
    os.setsid()
    signal.signal(signal.SIGTERM, _tell)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    adopt_orphans()
    if os.getppid() != parent:
        raise _Told


def _end(status: int, at_end: Callable[[], None] | None = None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(ConfinementError):
        end_descendants()
        if at_end:
            at_end()
    os._exit(status)


def _guard(work: Callable[[], object], parent: int, writer: int) -> None:
    """What the guardian does; it does not return."""
    status = 1
    try:
        _begin(parent)
        try:
            answer: tuple[object, str | None, bool] = (work(), None, False)
        except ConfinementError as error:
            answer = (None, str(error), isinstance(error, NoWallsError))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            end_descendants()
        except ConfinementError as error:
            answer = (None, str(error), False)
        with os.fdopen(writer, "wb") as answers:
            answers.write(json.dumps(answer).encode())
        status = 0
    except _Told:
        pass
    finally:
        _end(status)


def _tell(*_: object) -> None:
    raise _Told

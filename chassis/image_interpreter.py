"""The interpreter of an image's Python, as a child process of a tool that runs on another."""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Iterable
from pathlib import Path

_OF_ONE_PYTHON = frozenset({"PYTHONHOME", "LD_LIBRARY_PATH"})
_REMEDY = (
    "  an image_python is to name an interpreter of its own version, for the machine that builds: mend its "
    "`interpreter` or its `version`"
)
_MACHINES = {62: "x86_64", 183: "aarch64"}
"""`e_machine` of an ELF header to the CPU, as `uname` names it."""

CANNOT_START = 126
"""The status with which a shell ends if the program is there and cannot be started, such as one for another CPU."""

NO_PROGRAM_OF_THIS_MACHINE = os.strerror(errno.ENOEXEC)
"""What a shell says then of one for another CPU."""

_OF_THE_MACHINE = frozenset({errno.E2BIG, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of starting whatever program."""


def child_environment(interpreter: Path | None, kept: Iterable[str]) -> dict[str, str]:
    """The variables `kept` of this process that the child gets; `interpreter` is None for this process's own Python.

    One Python cannot use where another has its library.
    """
    names = set(kept) - (_OF_ONE_PYTHON if interpreter else set())
    return {name: os.environ[name] for name in sorted(names) if name in os.environ}


def wrong_version(wanted: str, found: str, interpreter: str = "") -> str:
    """What is said of an interpreter that is not of the image's version."""
    which = f" ({interpreter})" if interpreter else ""
    return (
        f"the image has Python {wanted}, "
        f"and the interpreter that pickles and compiles for it is Python {found}{which}\n"
        f"{_REMEDY}"
    )


def does_not_run(wanted: str, interpreter: str, reason: str | None) -> str:
    """What is said of an interpreter that cannot be started here."""
    cpu = _cpu(interpreter)
    if cpu and cpu != platform.machine():
        reason = f"it is for {cpu}, and this machine is {platform.machine()} ({reason})"
    return f"the interpreter for images of Python {wanted} does not run: {interpreter}: {reason}\n{_REMEDY}"


def not_started(wanted: str, interpreter: str, number: int) -> str:
    """What is said if the kernel does not start the interpreter; `number` is that of its error (`errno`)."""
    reason = os.strerror(number)
    if number in _OF_THE_MACHINE:
        return (
            f"the interpreter for images of Python {wanted} cannot be started now: {reason} ({interpreter})\n"
            "  that is up to this machine or its limits: memory, processes and files for fewer actions at once "
            "(`--jobs=2`), or a smaller environment"
        )
    if number == errno.ENOENT and Path(interpreter).exists():
        reason = (
            f"it is there, and what it is started by is not: its loader, or the program of its first line ({reason})"
        )
    return does_not_run(wanted, interpreter, reason)


def _cpu(program: str) -> str:
    """What a program is for, if it is an ELF file for one of the CPUs that are known; else empty."""
    try:
        with Path(program).open("rb") as stream:
            header = stream.read(20)
    except OSError:
        return ""
    return _MACHINES.get(int.from_bytes(header[18:], "little"), "") if header[:4] == b"\x7fELF" else ""

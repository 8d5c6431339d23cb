"""Run in an interpreter that has only models' dependencies: imports what many models import, and forks for each step.

`python -m chassis.packaging.warm_worker JOBS ANSWERS`, two descriptors: a line of JSON comes for what is to be done,
and one goes back. The first names what to import; each after that is a step of one model, done by a fork behind walls
of its own. This process runs no model's code, and learns of a fork how it ended and nothing else: no model finds what
another left. It is behind walls itself when it imports (warm_process.py).
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import re
import runpy
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# What the workers import of Chassis, but not they themselves: each fork runs its worker as the program.
from chassis.confinement.descendants import adopt_orphans, take_leave
from chassis.confinement.errors import ConfinementError
from chassis.confinement.walls import Walls
from chassis.packaging import bytecode, lost_statements, pickle_reader, pickler, unpicklable
from chassis.packaging.shared_imports import import_all
from chassis.packaging.worker import run_worker
from chassis.runtime.core import loader

_PRELOADED = (bytecode, loader, lost_statements, pickle_reader, pickler, run_worker, unpicklable)

_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ ...([ps]) ")

NO_WALLS = 78
"""The status of a step for which the kernel lacks what its walls take."""


def _serve(jobs: int, answers: int) -> None:
    adopt_orphans()
    while line := _line(jobs):
        take_leave()  # of what a step left behind, which has been ended
        job: dict[str, Any] = json.loads(line)
        if "imports" in job:
            _answer(answers, _warm(job["imports"], {jobs, answers}))
            continue
        child = os.fork()
        if not child:
            _step(job)
            return
        _, status = os.waitpid(child, 0)
        _answer(answers, os.waitstatus_to_exitcode(status))


def _line(descriptor: int) -> bytes:
    """The next line; it is the last that was sent. Not a file object, which a fork would close at its end."""
    text = b""
    while not text.endswith(b"\n") and (block := os.read(descriptor, 1 << 16)):
        text += block
    return text


def _answer(descriptor: int, what: bool | int) -> None:
    os.write(descriptor, json.dumps(what).encode() + b"\n")


def _warm(imports: Sequence[tuple[str, Sequence[str]]], own: set[int]) -> bool:
    """Whether it may serve: a file or memory that a wheel has open would be one that all models have."""
    before = _shared_memory()
    try:
        good = import_all(imports)
    except (Exception, SystemExit):
        return False
    sys.stdout.flush()
    sys.stderr.flush()
    gc.freeze()  # no fork goes through it again, and so copies it
    listing = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    others = [number for number in listing if number > 2 and number not in own and _is_open(number)]
    # A timer is this process's, and no fork has it; its handler would run here.
    timers = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    ticking = any(signal.getitimer(timer)[0] for timer in timers)
    return good and not others and not ticking and _shared_memory() <= before


def _shared_memory() -> set[str]:
    """The mappings that a fork has in common with this process and may write to: lines of `/proc/self/maps`."""
    found, mapping = set[str](), ""
    for line in Path("/proc/self/smaps").read_bytes().decode("utf-8", "replace").split("\n"):
        if match := _MAPPING.match(line):
            mapping = line
            if match[1] == "s":
                found.add(mapping)
        elif line.startswith("VmFlags:") and "mw" not in line.split():  # a file that was opened to be read: glibc's
            found.discard(mapping)
    return found


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:  # that of the listing itself
        return False
    return True


def _step(job: dict[str, Any]) -> None:
    """Becomes the process that `isolated.py` would have started: its streams, its variables, its paths, its walls."""
    given, said = os.open(job["request"], os.O_RDONLY), os.open(job["output"], os.O_WRONLY | os.O_APPEND)
    for descriptor, stream in ((given, 0), (said, 1), (said, 2)):
        os.dup2(descriptor, stream)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["directory"])
    if temporary := sys.modules.get("tempfile"):
        vars(temporary)["tempdir"] = None
    own = json.loads(os.environ.pop("CHASSIS_IMPORT_PATHS"))
    sys.path[:] = [path for path in sys.path if path not in own] + own
    importlib.invalidate_caches()
    try:
        with Walls(
            tuple(job["readable"]), tuple(map(Path, job["writable"])), metadata=job["metadata"]
        ).built() as restrict:
            restrict()
    except (ConfinementError, OSError) as error:
        print(error)
        sys.exit(NO_WALLS)
    sys.argv[:] = [job["worker"], *job["arguments"]]
    try:
        runpy.run_module(job["worker"], run_name="__main__", alter_sys=True)
    except SystemExit as error:
        if isinstance(error.code, int) and threading.active_count() == 1:
            _end(error.code)
        raise


def _end(status: int) -> None:
    """Ends as an interpreter does, but for taking apart all that was imported."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _serve(*map(int, sys.argv[1:]))

"""Bytecode for the modules of a layer, so that a container does not compile them at each start.

A `.pyc` lies where Python looks for it, `__pycache__/NAME.cpython-311.pyc` beside the source, and names the source's
path in the image. It holds a hash of the source that is never checked (PEP 552): no time is in it, and Python reads
the source for tracebacks alone. Each comes a fixed number of modules after its source, whatever compiles faster, so
that a layer's bytes depend on nothing but its modules and the version of Python.
"""

from __future__ import annotations

import errno
import os
import re
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from chassis.errors import ChassisError
from chassis.image_interpreter import CANNOT_START, child_environment, does_not_run, not_started, wrong_version
from chassis.oci.layer import bytecode_worker

_MAX_SOURCE_BYTES = 8 << 20
_MAX_WAITING = 64
_MAX_JOBS = 8
_KEPT = ("PATH", "PYTHONHOME", "LD_LIBRARY_PATH", "SYSTEMROOT")
_START = """
import sys
sys.path[:] = [path for path in sys.path if path]
print("%d.%d" % sys.version_info[:2], flush=True)
import runpy
runpy.run_path(sys.argv[1], run_name="__main__")
"""
_REQUEST = struct.Struct("<II")
_ANSWER = struct.Struct("<I")


class BytecodeError(ChassisError):
    """Modules cannot be compiled for the image."""


def running_version() -> str:
    """The minor version of this interpreter, as `3.11`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def bytecode_path(source: str, python_version: str) -> str:
    """Where Python looks for the bytecode of a module (PEP 3147): `a/b.py` to `a/__pycache__/b.cpython-311.pyc`."""
    folder, slash, name = source.rpartition("/")
    return f"{folder}{slash}__pycache__/{name.removesuffix('.py')}.cpython-{python_version.replace('.', '')}.pyc"


def is_module(path: str, size: int) -> bool:
    """Whether a file is compiled: a Python source that is not unreasonably large."""
    return path.endswith(".py") and 0 < size <= _MAX_SOURCE_BYTES


def is_of_tests(path: str) -> bool:
    """Whether a module of a wheel is of its test suite, which nothing in an image imports: `pandas/tests/test_a.py`."""
    return "tests" in path.split("/")[:-1]


class BytecodeCompiler:
    """Compiles modules in processes of its own, several at a time.

    What is not valid Python of this version is left out, as pip leaves it: packages ship templates and tests of old
    syntax under `.py`.
    """

    def __init__(self, python_version: str, jobs: int = 0, interpreter: Path | None = None) -> None:
        """`python_version` is the image's, as `3.11`; `jobs` the most processes, 0 for as many as there are CPUs;
        `interpreter` a Python of that version, None for this one.

        Raises:
          BytecodeError: this interpreter is of another minor version, and is to compile.
        """
        if interpreter is None and python_version != (running := running_version()):
            raise BytecodeError(wrong_version(python_version, running))
        self._python_version = python_version
        self._pool = ThreadPoolExecutor(jobs or min(_MAX_JOBS, len(os.sched_getaffinity(0))), "bytecode")
        self._waiting: deque[tuple[str, Future[bytes | None]]] = deque()
        self._processes = _Processes(python_version, interpreter)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._processes.close()

    def submit(self, path: str, source: bytes) -> Iterator[tuple[str, bytes]]:
        """Takes a module at `path` from the image's root; yields what is to be added now: paths and bytecode."""
        self._waiting.append((path, self._pool.submit(self._processes.compiled, f"/{path}", source)))
        yield from self._ready(_MAX_WAITING)

    def path(self, source: str) -> str:
        """Where the bytecode of a module is to lie."""
        return bytecode_path(source, self._python_version)

    def drain(self) -> Iterator[tuple[str, bytes]]:
        """Yields what remains, in the order of submission."""
        yield from self._ready(0)

    def _ready(self, most: int) -> Iterator[tuple[str, bytes]]:
        while len(self._waiting) > most:
            path, future = self._waiting.popleft()
            if (data := future.result()) is not None:
                yield self.path(path), data


def _how_it_ended(status: int) -> str:
    why = ": it starts a program that is not for this machine" if status == CANNOT_START else ""
    return f"it ended with status {status}{why}"


def _worker_source() -> Path:
    """The worker as a source, which every version reads: a tool that the build compiled imports its bytecode."""
    place = Path(*bytecode_worker.__name__.split(".")).with_suffix(".py")
    candidates = [Path(bytecode_worker.__file__), *(Path(entry) / place for entry in sys.path)]
    found = next((path for path in candidates if path.suffix == ".py" and path.is_file()), None)
    if found is None:
        raise BytecodeError(f"{place} is not among the files of this tool")
    return found


class _Processes:
    """A process for each thread that asks."""

    def __init__(self, python_version: str, interpreter: Path | None) -> None:
        self._python_version = python_version
        self._interpreter = interpreter
        self._own = threading.local()
        self._all: list[subprocess.Popen[bytes]] = []

    def compiled(self, path: str, source: bytes) -> bytes | None:
        """A module's bytecode; None if it is not valid.

        Raises:
          BytecodeError: the process died of it.
        """
        process: subprocess.Popen[bytes] = getattr(self._own, "process", None) or self._start()
        assert process.stdin is not None and process.stdout is not None
        name = path.encode("utf-8", "surrogateescape")
        try:
            process.stdin.write(_REQUEST.pack(len(name), len(source)) + name + source)
            process.stdin.flush()
            (size,) = _ANSWER.unpack(process.stdout.read(_ANSWER.size))
            data = b"" if size == bytecode_worker.NOT_COMPILED else process.stdout.read(size)
        except (BrokenPipeError, struct.error):
            size, data = -1, b""
        if size == bytecode_worker.NOT_COMPILED:
            return None
        if len(data) != size:
            self._own.process = None
            raise BytecodeError(
                f"{path}: Python's compiler ended with status {process.wait()} on it\n"
                "  leave the package out, or build with --@chassis//rules:bytecode=false"
            )
        return data

    def close(self) -> None:
        """Ends the processes."""
        for process in self._all:
            process.kill()
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            process.stdout.close()
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        # -S, -s: nothing of the machine is imported; not -I, which would ignore the hash seed; -c for -P, which
        # Python 3.10 does not know: nothing may be imported from the worker's directory.
        try:
            process = subprocess.Popen(
                [str(self._interpreter or sys.executable), "-S", "-s", "-B", "-c", _START, str(_worker_source())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=child_environment(self._interpreter, _KEPT) | {"PYTHONHASHSEED": "0"},
            )
        except OSError as error:
            interpreter = str(self._interpreter or sys.executable)
            raise BytecodeError(not_started(self._python_version, interpreter, error.errno or errno.ENOEXEC)) from None
        self._all.append(process)
        assert process.stdout
        version = process.stdout.readline().decode(errors="replace").strip()
        if version != self._python_version:
            interpreter = str(self._interpreter or sys.executable)
            if not re.fullmatch(r"3\.\d+", version):
                status = _how_it_ended(process.wait()) if not version else f"it says {version[:40]!r}"
                raise BytecodeError(does_not_run(self._python_version, interpreter, status))
            raise BytecodeError(wrong_version(self._python_version, version, interpreter))
        self._own.process = process
        return process

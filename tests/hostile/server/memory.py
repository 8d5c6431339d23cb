"""The memory of a server under attack: what it used at first, at its peak, and in the end."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType

from tests.support.running_server import RunningServer

_INTERVAL = 0.005
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Memory:
    """A context manager that watches the resident memory of a server and of the processes that it started."""

    def __init__(self, server: RunningServer) -> None:
        self._pids = _family(server.process.pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._first = self._peak = self._now()

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def peak(self) -> int:
        """The most bytes beyond those at first, so far."""
        return max(self._peak, self._now()) - self._first

    def falls_below(self, size: int, timeout: float = 20.0) -> bool:
        """Waits until no more than `size` bytes beyond those at first are used; False if they still are."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if self._now() - self._first <= size:
                return True
            self._over.wait(_INTERVAL * 10)
        return False

    def _watch(self) -> None:
        while not self._over.wait(_INTERVAL):
            self._peak = max(self._peak, self._now())

    def _now(self) -> int:
        return sum(map(_resident, self._pids))


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0

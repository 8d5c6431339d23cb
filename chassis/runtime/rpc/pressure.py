"""Whether messages that gRPC's core is reading, which nothing counts, take too much memory."""

from __future__ import annotations

import os
import time

from chassis.runtime.core.budget import Budget, trim_memory
from chassis.runtime.limits import Limits, memory_in_use

_TRIM_INTERVAL = 0.1
"""Seconds between two times that the allocator is asked for what it keeps."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


class MemoryPressure:
    """Compares what the process uses with what it used at first and may use now."""

    def __init__(self, limits: Limits, budget: Budget) -> None:
        """Takes the container's limit and what requests may take; what is used now is the server's own."""
        self._limit = limits.memory
        self._budget = budget
        self._first = resident_bytes()
        self._trimmed = 0.0

    def is_high(self) -> bool:
        """Whether there is a quarter more than all requests may take, or less than half of that is left.

        What was freed and the allocator keeps does not count: after many messages at once it is most of it, and the
        next one would be refused although nobody holds anything.
        """
        if not self._seems_high():
            return False
        now = time.monotonic()
        if now - self._trimmed > _TRIM_INTERVAL:
            self._trimmed = now
            trim_memory()
        return self._seems_high()

    def _seems_high(self) -> bool:
        total = self._budget.total
        if resident_bytes() > self._first + total + total // 4:
            return True
        return self._limit is not None and self._limit - (memory_in_use() or 0) < total // 2


def resident_bytes() -> int:
    """The memory of this process; 0 if that is unknown."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return 0

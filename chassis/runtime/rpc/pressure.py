"""Whether messages that gRPC's core is reading, which nothing counts, take too much memory."""

from __future__ import annotations

import os

from chassis.runtime.limits import Limits, memory_in_use

_NEARLY = 0.9
_PAGE = os.sysconf("SC_PAGE_SIZE")


class MemoryPressure:
    """Compares what the process uses with what it used at first and may use now."""

    def __init__(self, limits: Limits) -> None:
        """Takes the bounds; what is used now is the server's own."""
        self._limits = limits
        self._most = resident_bytes() + limits.inflight_bytes + limits.inflight_bytes // 4

    def is_high(self) -> bool:
        """Whether there is more than all requests may take, or nearly all that the container has."""
        if resident_bytes() > self._most:
            return True
        if self._limits.memory is None:
            return False
        return (memory_in_use() or 0) > self._limits.memory * _NEARLY


def resident_bytes() -> int:
    """The memory of this process; 0 where that is unknown."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return 0

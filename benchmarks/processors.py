"""Seconds of processors that a process took, with all that it started."""

from __future__ import annotations

import collections
import os
from pathlib import Path


def processor_seconds(process: int) -> float:
    """Those of the process, of what it started and still runs, and of the children of these that have ended."""
    return sum(map(_processors, _with_descendants(process)))


def _with_descendants(process: int) -> list[int]:
    """The process and those that it started, and those they did, as far as they still run."""
    children = collections.defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _status(int(entry.name))):
            children[int(fields[1])].append(int(entry.name))
    found = [process]
    for one in found:
        found += children[one]
    return found


def _processors(process: int) -> float:
    """Seconds of processors that the process took, with its children that have ended."""
    return sum(map(int, _status(process)[11:15])) / os.sysconf("SC_CLK_TCK")


def _status(process: int) -> list[str]:
    """The fields of a process behind its name, from `state` on (proc_pid_stat(5)); none if it has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []

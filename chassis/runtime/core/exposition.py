"""Lines of Prometheus' text format (version 0.0.4), and what every process has to say of itself.

https://prometheus.io/docs/instrumenting/exposition_formats/,
https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterable, Iterator

Labels = tuple[tuple[str, str], ...]

_UNLIMITED = 1 << 62
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def family(name: str, kind: str, description: str, samples: Iterable[str]) -> list[str]:
    """The lines of a metric."""
    return [f"# HELP {name} {description}", f"# TYPE {name} {kind}", *samples]


def sample(name: str, labels: Labels, value: float) -> str:
    """One line."""
    text = ",".join(f'{label}="{content.translate(_ESCAPED)}"' for label, content in labels)
    number = int(value) if isinstance(value, bool) else value
    return f"{name}{{{text}}} {number}" if text else f"{name} {number}"


def resident_bytes(process: str) -> int:
    """The memory of a process, `self` or its id; 0 if that is unknown."""
    try:
        with open(f"/proc/{process}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def process_metrics() -> Iterator[str]:
    """The standard metrics of the server's own process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = soft_files if soft_files != resource.RLIM_INFINITY else most_files
    virtual, started = _of_stat()
    for name, kind, description, value in (
        (
            "process_cpu_seconds_total",
            "counter",
            "Processor time of the server's process.",
            used.ru_utime + used.ru_stime,
        ),
        ("process_resident_memory_bytes", "gauge", "Memory of the server's process.", resident_bytes("self")),
        ("process_virtual_memory_bytes", "gauge", "Addresses of the server's process.", virtual),
        ("process_start_time_seconds", "gauge", "When the server's process started, since 1970.", started),
        ("process_open_fds", "gauge", "Open files of the server's process.", _open_files()),
        ("process_max_fds", "gauge", "The most open files.", files if files != resource.RLIM_INFINITY else _UNLIMITED),
    ):
        yield from family(name, kind, description, [sample(name, (), value)])


def _of_stat() -> tuple[int, float]:
    """Bytes of addresses, and the start since 1970 (proc(5), /proc/pid/stat, fields 23 and 22)."""
    try:
        with open("/proc/self/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0, 0.0
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    return int(fields[20]), time.time() - since_boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _open_files() -> int:
    try:
        with os.scandir("/proc/self/fd") as entries:
            return sum(1 for _ in entries)
    except OSError:
        return 0


def gpu_metrics() -> list[str]:
    """Memory of each GPU, if the driver's NVML says it."""
    if sys.platform != "linux" or not os.access("/dev/nvidiactl", os.R_OK):
        return []
    from chassis.runtime.core.nvml import memory_of_gpus  # here, since most machines have none

    found = memory_of_gpus()
    lines: list[str] = []
    for name, text, place in (
        ("chassis_gpu_memory_used_bytes", "Memory of the GPU in use, by whomever.", 0),
        ("chassis_gpu_memory_bytes", "Memory of the GPU.", 1),
    ):
        samples = [sample(name, (("gpu", str(number)),), memory[place]) for number, memory in enumerate(found)]
        lines += family(name, "gauge", text, samples) if samples else []
    return lines

"""What processes are called in `ps`, `top` and `pgrep` (proc(5), /proc/pid/comm: at most 15 bytes)."""

from __future__ import annotations

import contextlib


def name_process(name: str) -> None:
    """Calls this process `name`; if that cannot be, it keeps its name."""
    with contextlib.suppress(OSError), open("/proc/self/comm", "w") as file:
        file.write(name[:15])

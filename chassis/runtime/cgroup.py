"""Files of the process' own control groups (cgroup v1 and v2)."""

from __future__ import annotations

from collections.abc import Iterator


def cgroup_directories(root: str, controller: str) -> Iterator[str]:
    """The directories of the process' cgroups of `controller` below `root`, its own first, then those above it.

    In a container the path in /proc/self/cgroup may be the host's, which is missing: the mount's root is its own then.
    """
    root = root.rstrip("/")
    base = f"{root}/sys/fs/cgroup"
    for line in (read_text(f"{root}/proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            mount = base
        elif controller in controllers.split(","):
            mount = f"{base}/{controller}"
        else:
            continue
        parts = [part for part in path.split("/") if part and part != ".."]
        for length in range(len(parts), -1, -1):
            yield "/".join([mount, *parts[:length]])


def read_text(path: str) -> str | None:
    """The content of a file; None if it cannot be read."""
    try:
        with open(path) as file:
            return file.read()
    except (OSError, ValueError):
        return None

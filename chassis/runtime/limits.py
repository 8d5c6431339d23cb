"""What the server may use: the container's memory and files, read once at start, and the bounds that follow from them.

Memory comes from the cgroup (v2: `memory.max`, v1: `memory.limit_in_bytes`), whichever of its ancestors allows least.
https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from typing import NamedTuple

from chassis.runtime.cgroup import cgroup_directories, read_text

_V1_UNLIMITED = 1 << 60
_MAX_FILES = 1 << 20
"""More than any server needs; some engines allow a billion, which programs that close all of them would go through."""

_INFLIGHT = 1 << 30
MIN_INFLIGHT = 4 << 20
_REQUEST = 256 << 20
_CONNECTIONS = 4096
_MIN_CONNECTIONS = 16
_OTHER_FILES = 64
"""Files that are not connections of HTTP: libraries, the log, processes of the model."""

_CONNECTION_BYTES = 32 << 10
"""What a connection may hold beside its requests: buffers of the event loop, the parser, a head that is half there."""


class Limits(NamedTuple):
    """The bounds of one server; each has a setting, see docs/serving.md.

    Attributes:
      request_bytes: the largest message or body, inflated (`CHASSIS_MAX_REQUEST_BYTES`).
      message_bytes: the same over gRPC, whose core holds messages before anybody can count them: less by default if
        memory is limited.
      inflight_bytes: what all requests and unread answers together may take (`CHASSIS_MAX_INFLIGHT_BYTES`).
      connections: of HTTP, and of gRPC again, at a time (`CHASSIS_MAX_CONNECTIONS`).
      head_bytes: request line and headers together (`CHASSIS_MAX_HEAD_BYTES`).
      url_bytes: the request's target (`CHASSIS_MAX_URL_BYTES`).
      head_timeout: seconds in which the head of a request is to come, or the message of a gRPC call begin
        (`CHASSIS_HEAD_TIMEOUT`).
      idle_timeout: seconds that a connection may stay without a request (`CHASSIS_IDLE_TIMEOUT`).
      transfer_grace: seconds of a body, or of an answer, before its rate is looked at (`CHASSIS_TRANSFER_GRACE`).
      least_rate: bytes a second of a body that is sent, and of an answer that is read (`CHASSIS_MIN_RATE`).
      memory: bytes that the container may use; None without a limit.
      hosts: names that a request's `Host` may have, in lower case; empty for any (`CHASSIS_HOSTS`, comma-separated).
      settled: whether `inflight_bytes` was set by hand, so that the model's own use does not lower it.
    """

    request_bytes: int = _REQUEST
    message_bytes: int = _REQUEST
    inflight_bytes: int = _INFLIGHT
    connections: int = _CONNECTIONS
    head_bytes: int = 64 << 10
    url_bytes: int = 8 << 10
    head_timeout: float = 20.0
    idle_timeout: float = 75.0
    transfer_grace: float = 20.0
    least_rate: float = 1024.0
    memory: int | None = None
    hosts: tuple[str, ...] = ()
    settled: bool = False


def memory_limit(root: str = "/") -> int | None:
    """The bytes that this process' cgroup, or one above it, may use; None without a limit."""
    found = [limit for limit in _cgroup_values(root, "memory.max", "memory.limit_in_bytes") if limit < _V1_UNLIMITED]
    return min(found, default=None)


def memory_in_use(root: str = "/") -> int | None:
    """The bytes that the process' cgroup uses, without files that the kernel may drop; None if that is unknown."""
    used = next(_cgroup_values(root, "memory.current", "memory.usage_in_bytes"), None)
    if used is None:
        return None
    for directory in cgroup_directories(root, "memory"):
        for line in (read_text(f"{directory}/memory.stat") or "").splitlines():
            name, _, value = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file") and value.isdigit():
                return max(0, used - int(value))
    return used


def raise_file_limit() -> int:
    """Raises the soft limit of open files to the hard one; returns what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            return soft
        return wanted
    return _MAX_FILES if soft == resource.RLIM_INFINITY else soft


def inflight_default(memory: int | None) -> int:
    """Half of `memory`, which leaves the other to the model and the server; 1 GiB at most, and without a limit."""
    return _INFLIGHT if memory is None else max(MIN_INFLIGHT, min(_INFLIGHT, memory // 2))


def request_default(inflight: int) -> int:
    """The largest body of which a server with `inflight` bytes can hold one, with the copies that are made of it."""
    return max(1, min(_REQUEST, inflight * 2 // 5))


def message_default(inflight: int, memory: int | None) -> int:
    """The largest message of gRPC: of those in a container with a limit there may come many at a time."""
    return request_default(inflight) if memory is None else max(1, min(request_default(inflight), inflight // 8))


def connections_default(inflight: int, files: int) -> int:
    """As many connections as there are files for, of which each may be one of gRPC, and memory."""
    most = min(_CONNECTIONS, (files - _OTHER_FILES) // 2, inflight // _CONNECTION_BYTES)
    return max(_MIN_CONNECTIONS, most)


def _cgroup_values(root: str, *names: str) -> Iterator[int]:
    """The numbers in files of these names, from the process' own cgroup up to the root."""
    for directory in cgroup_directories(root, "memory"):
        for name in names:
            text = (read_text(f"{directory}/{name}") or "").strip()
            if text.isdigit():
                yield int(text)

"""Ends connections that take too long, whatever they are at: a header that never ends counts as much as silence.

A timeout of the socket starts anew with each byte, so that a server which drips could hold a client for ever.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time

_LOOK_SECONDS = 0.1


class Deadline:
    """The time that one answer may take: `seconds`, anew whenever `least_bytes` more have come (0: never anew)."""

    def __init__(self, seconds: float, least_bytes: int = 0) -> None:
        self.seconds = seconds
        self.expired = False
        self._least_bytes = least_bytes
        self._come = 0
        self._end = float("inf")
        self._socket: socket.socket | None = None

    def start(self, connection: socket.socket) -> None:
        """Begins to count for an answer that comes over this connection."""
        self._socket = connection
        self._end = time.monotonic() + self.seconds

    def moved(self, count: int) -> None:
        """Takes in that bytes of the body came."""
        self._come += count
        if self._least_bytes and self._come >= self._least_bytes:
            self._come = 0
            self._end = time.monotonic() + self.seconds

    def check(self, now: float) -> None:
        """Breaks the connection if the time is over."""
        if now > self._end and self._socket is not None:
            self.expired = True
            with contextlib.suppress(OSError):
                # Below TLS, if there is any: the reader meets an end, not the rest as it came over the line.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class DeadlineWatch:
    """Looks at every deadline that is running, in a thread that lives while there is one. Safe to use from several
    threads."""

    def __init__(self) -> None:
        self._running: set[Deadline] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, deadline: Deadline) -> None:
        """Watches a deadline until it is removed."""
        with self._changed:
            self._running.add(deadline)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, deadline: Deadline) -> None:
        """Forgets a deadline."""
        with self._changed:
            self._running.discard(deadline)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._running and not self._changed.wait_for(lambda: self._running, timeout=5.0):
                    self._thread = None
                    return
                now = time.monotonic()
                for deadline in self._running:
                    deadline.check(now)
            time.sleep(_LOOK_SECONDS)

"""Connections to the service that cannot be held: bounded in number, and in how slow they may be.

uvicorn limits neither how long a request's head takes, nor how long an answer is not read: whoever opens connections
and sends a byte now and then would keep the service from others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a connection may do.

    Attributes:
      most: connections at once. One more ends the one that has been without a request for longest.
      head_seconds: from the first byte of a request, or from the connection, to the end of its headers.
      stalled_seconds: a body of which nothing comes, and an answer of which nothing is read.
      least_rate: bytes a second of a body, on average, once it has taken `stalled_seconds`.
    """

    most: int = 256
    head_seconds: float = 10.0
    stalled_seconds: float = 60.0
    least_rate: int = 4096


class _Timer:
    """Calls a function once, some seconds after it was started last."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, then: Callable[[], None]) -> None:
        self._loop, self._seconds, self._then = loop, seconds, then
        self._handle: asyncio.TimerHandle | None = None

    @property
    def runs(self) -> bool:
        return self._handle is not None

    def start(self) -> None:
        self.stop()
        self._handle = self._loop.call_later(self._seconds, self._then)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


def guarded_protocol(limits: ConnectionLimits) -> type[H11Protocol]:
    """The class of uvicorn's connections with these limits: for `uvicorn.Config(http=…)`."""

    class _Guarded(_GuardedProtocol):
        _limits = limits

    return _Guarded


class _GuardedProtocol(H11Protocol):
    _limits: ConnectionLimits

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.idle_since = time.monotonic()
        self._head = _Timer(self.loop, self._limits.head_seconds, self.drop)
        self._write = _Timer(self.loop, self._limits.stalled_seconds, self.drop)

    @property
    def at_work(self) -> bool:
        """Whether a request has come whose answer is not complete."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._head.start()
        if len(self.connections) > self._limits.most:
            others = [each for each in self.connections if isinstance(each, _GuardedProtocol) and not each.at_work]
            min(others, key=lambda each: each.idle_since).drop()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.at_work:
            self._head.stop()
        elif not self._head.runs and not self.transport.is_closing():
            self._head.start()

    def on_response_complete(self) -> None:
        self.idle_since = time.monotonic()
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._head.start()  # closing waits until the peer has read everything

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write.start()

    def resume_writing(self) -> None:
        self._write.stop()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head.stop()
        self._write.stop()
        super().connection_lost(exc)

    def drop(self) -> None:
        """Ends the connection at once, with what is not sent yet."""
        self._head.stop()
        self.connections.discard(self)
        self.transport.abort()

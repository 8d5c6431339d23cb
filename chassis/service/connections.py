"""Connections to the service that cannot be held: bounded in number, and in how slow they may be.

uvicorn limits neither how long a request's head takes, nor how long an answer is not read: whoever opens connections
and sends a byte now and then would keep the service from others.

When there are too many, whoever holds the most loses one: a client by its token, else an address. Of the holder's it is
one without a request, else the one whose peer keeps the service waiting longest.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_READING_SECONDS = 0.1
"""Seconds that a new connection, one of a burst, may wait until what it has sent is read."""

_BURST = 256
"""Connections beyond the most that may wait so."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a connection may do.

    Attributes:
      most: connections at once, and 256 more for a moment. One more ends one of whoever holds the most of them.
      head_seconds: from the first byte of a request, or from the connection, to the end of its headers; also for
        the whole of a JSON body.
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
        self.idle_since = self._made = time.monotonic()
        self._request_since = self._paused_since = self.idle_since
        self._received = 0
        self._head = _Timer(self.loop, self._limits.head_seconds, self.drop)
        self._write = _Timer(self.loop, self._limits.stalled_seconds, self.drop)

    @property
    def at_work(self) -> bool:
        """Whether a request has come whose answer is not complete."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def holder(self) -> str:
        """Whose the connection is: the client's of a token, else the address's (of IPv6 the network's of 64 bits)."""
        client = self.scope["state"].get("holder") if self.scope else None
        return f"client {client}" if client else f"address {_network(self.client[0] if self.client else '')}"

    def worth(self) -> tuple[int, float, float]:
        """What is least goes first: those without a request, then the slowest peers, then the newest requests."""
        if not self.at_work:
            return 0, 0.0, self.idle_since
        if self.flow.write_paused:
            return 1, 0.0, self._paused_since
        rate = self._received / (time.monotonic() - self._request_since + 1.0)
        if self.cycle.more_body and rate < self._limits.least_rate:
            return 1, rate, self._request_since
        return 2, 0.0, -self._request_since

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._head.start()
        if len(self.connections) > self._limits.most + _BURST:
            self._make_room()
        elif len(self.connections) > self._limits.most:
            self.loop.call_later(_READING_SECONDS, self._make_room)

    def _make_room(self) -> None:
        if len(self.connections) > self._limits.most:
            self._one_too_many().drop()

    def _one_too_many(self) -> _GuardedProtocol:
        """The connection that makes room, of a holder that has more than its share; one with a request that the service
        works on, or whose body comes, only if those holders have no other. What has just come is
        chosen only if all have."""
        guarded = [each for each in self.connections if isinstance(each, _GuardedProtocol)]
        held = Counter(each.holder for each in guarded)
        share = min(self._limits.most // len(held), max(held.values()) - 1)
        read = [each for each in guarded if time.monotonic() - each._made >= _READING_SECONDS]
        if not read:
            return max(guarded, key=lambda each: each._made)
        others = [each for each in read if held[each.holder] > share] or read
        waiting = [each for each in others if each.worth()[0] < 2]
        return min(waiting or others, key=lambda each: (-held[each.holder], each.worth()))

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is before:
            self._received += len(data)
        else:  # what came was the head, and perhaps the beginning of the body
            self._received, self._request_since = 0, time.monotonic()
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
        self._paused_since = time.monotonic()
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


def _network(address: str) -> str:
    try:
        number = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(number, ipaddress.IPv4Address):
        return str(number)
    return str(number.ipv4_mapped or ipaddress.IPv6Network((number, 64), strict=False))

"""One connection of HTTP/1.1 (RFC 9112): requests are answered one after another, and a slow client's time is up."""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections import deque
from collections.abc import Awaitable
from typing import Protocol, cast

from chassis.runtime.core.budget import Budget
from chassis.runtime.http.known_heads import KnownHeads
from chassis.runtime.http.message import Request, Response, error_response
from chassis.runtime.http.reader import MAX_WAITING, Reader
from chassis.runtime.limits import Limits

_LINGER = 2.0
"""Seconds for a caller to read why its request was refused."""

_LARGE = 1 << 16
"""Bytes of an answer above which it is written by itself, and counts while it is not read."""


class Admission(enum.Enum):
    """What a new connection may do."""

    SERVED = "served"
    SPARE = "spare"
    """There are too many: it is told so, and asks for health at most."""
    REFUSED = "refused"


class Owner(Protocol):
    """What a connection asks of its server."""

    limits: Limits
    budget: Budget
    known: KnownHeads

    def opened(self, connection: Connection) -> Admission:
        """A connection is there."""

    def closed(self, connection: Connection) -> None:
        """It is gone."""

    def handle(self, request: Request, *, spare: bool) -> Response | Awaitable[Response]:
        """Answers at once, and raises nothing, or later."""

    def failed(self, request: Request, error: Exception) -> Response:
        """The answer to a request that raised later."""

    def call_began(self) -> None:
        """A request arrived."""

    def call_ended(self) -> None:
        """Its answer has left, or its caller."""

    def await_turn(self, connection: Connection) -> None:
        """Has `read_on` called when others had their turn."""

    def closing(self) -> bool:
        """Whether connections are to end after their current request."""


_Pending = tuple[Request | None, Response | None, bool, bool]
"""A request that was read, or the answer to what could not be, whether the connection is kept after it, and whether it
is of HTTP/1.0. A plain tuple, since one is made for each request."""


class Connection(asyncio.Protocol):
    """Has requests answered in order, and ends on whatever is not HTTP, or too slow."""

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._reader = Reader(owner.limits, owner.budget, self._take, self._proceed, self._ahead, owner.known)
        self._unread = b""
        self._awaits_turn = False
        self._pending: deque[_Pending] = deque()
        self._task: asyncio.Task[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._busy = False
        self._writable = True
        self._reading = True
        self._close_after = False
        self._spare = False
        self._request: Request | None = None
        self._cost = 0
        self._idle_since = loop.time()
        self._head_since = self._body_since = self._answer_since = 0.0
        self._answer_bytes = 0

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins to read, if the server has room for it."""
        self._transport = cast(asyncio.Transport, transport)
        # `resume_writing` then means that everything has left.
        self._transport.set_write_buffer_limits(high=0)
        admission = self._owner.opened(self)
        self._spare = admission is Admission.SPARE
        if admission is Admission.REFUSED:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Drops what was not answered."""
        self._transport = None
        self._owner.closed(self)
        self._reader.close()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        for _ in range(len(self._pending) + self._busy):
            self._owner.call_ended()
        self._drop_pending()
        self._drop_request()
        self._give(self._cost + len(self._unread))
        self._cost = 0
        self._unread = b""
        self._busy = False

    def data_received(self, data: bytes) -> None:
        """Reads requests, of many that come at once some at a time."""
        self._read(data)
        if self._unread:
            self._resume()

    def pause_writing(self) -> None:
        """Something waits for the caller to read."""
        self._writable = False

    def resume_writing(self) -> None:
        """All was read."""
        self._writable = True
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self._busy and self._task is None:
            self._finish()
            self._next()

    # What the server asks.

    def is_idle(self, since: float) -> bool:
        """Whether it has had no request since `since`, and none has begun."""
        reader = self._reader
        at_work = self._busy or self._unread or reader.in_head or reader.in_body or reader.refused
        return not at_work and self._idle_since < since

    def close(self) -> None:
        """Ends it; what is written still leaves."""
        if self._transport:
            self._transport.close()

    def check(self, now: float) -> None:
        """Ends it if its client takes too long: for a head, a body, an answer, or its next request."""
        limits = self._owner.limits
        if self._transport is None:
            return
        if self._busy and not self._writable:
            read = self._answer_bytes - self._transport.get_write_buffer_size()
            if self._too_slow(now - self._answer_since, read):
                self._transport.abort()
        elif self._head_since and self._reading and now - self._head_since > limits.head_timeout:
            self._refuse_slow("head", f"within {limits.head_timeout:g} s")
        elif self._body_since and self._reading and self._too_slow(now - self._body_since, self._reader.body_bytes):
            self._refuse_slow("body", f"at {limits.least_rate:g} bytes/s")
        elif self.is_idle(now - limits.idle_timeout):
            self._transport.close()

    def read_on(self) -> None:
        """Reads what was left, if there is room for its requests."""
        unread = self._unread
        if self._transport and not self._transport.is_closing() and len(self._pending) < MAX_WAITING:
            self._unread = b""
            self._give(len(unread))
            self._read(unread)
        self._awaits_turn = False
        self._resume()

    # One after another.

    def _too_slow(self, seconds: float, done: int) -> bool:
        limits = self._owner.limits
        return seconds > limits.transfer_grace and done < (seconds - limits.transfer_grace) * limits.least_rate

    def _refuse_slow(self, what: str, how: str) -> None:
        self._reader.stop()
        self._take(None, error_response(408, f"the request's {what} did not come {how}"), False, False)

    def _proceed(self) -> None:
        """Tells a caller who waits for that to send its body, unless it would be taken for another's answer."""
        if self._transport and not self._busy:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _take(self, request: Request | None, refusal: Response | None, keep_alive: bool, old: bool) -> None:
        self._head_since = self._body_since = 0.0
        self._owner.call_began()
        self._pending.append((request, refusal, keep_alive and not self._spare, old))
        if not self._busy:
            self._next()
        elif len(self._pending) >= MAX_WAITING:
            self._pause()

    def _ahead(self) -> int:
        return len(self._pending) + self._busy

    def _read(self, data: bytes) -> None:
        reader = self._reader
        unread = reader.feed(data)
        if unread and self._transport and not self._transport.is_closing():
            if self._owner.budget.take(len(unread)):
                self._unread = unread
                self._pause()
            else:
                reader.refuse_busy()
        if reader.in_head or reader.in_body:
            now = self._loop.time()
            self._head_since = (self._head_since or now) if reader.in_head else 0.0
            self._body_since = (self._body_since or now) if reader.in_body else 0.0

    def _pause(self) -> None:
        if self._transport and self._reading:
            self._reading = False
            self._transport.pause_reading()

    def _resume(self) -> None:
        """Goes on reading, if there is room for more requests: first what is left, when others had their turn."""
        transport = self._transport
        if self._reading or self._awaits_turn or transport is None or len(self._pending) >= MAX_WAITING:
            return
        if transport.is_closing():
            return
        if self._unread:
            self._awaits_turn = True
            self._owner.await_turn(self)
            return
        self._reading = True
        now = self._loop.time()
        self._head_since = now if self._head_since else 0.0
        self._body_since = now if self._body_since else 0.0
        transport.resume_reading()

    def _next(self) -> None:
        """Answers what waits, until one takes time."""
        while self._pending and not self._busy and self._transport:
            pending = self._pending.popleft()
            request, refusal, _, _ = pending
            self._busy = True
            if request is None:
                assert refusal is not None
                self._send(pending, refusal)
                continue
            self._request = request
            result = self._owner.handle(request, spare=self._spare)
            if isinstance(result, Response):
                self._send(pending, result)
            else:
                self._task = self._loop.create_task(self._wait(pending, request, result))
        if not self._reading:
            self._resume()

    async def _wait(self, pending: _Pending, request: Request, answer: Awaitable[Response]) -> None:
        try:
            response = await answer
        except Exception as error:
            response = self._owner.failed(request, error)
        if response.pieces is not None:
            await self._send_pieces(pending, request, response)
        self._task = None
        if response.pieces is None:
            self._send(pending, response)
        self._next()

    async def _send_pieces(self, pending: _Pending, request: Request, response: Response) -> None:
        """Sends a body as it is made, each piece when the last has been read; HTTP/1.0 has no chunks, and ends with the
        connection."""
        assert response.pieces is not None
        _, _, keep_alive, old = pending
        self._drop_request()
        keep_alive = keep_alive and not old and not self._owner.closing()
        async with contextlib.aclosing(response.pieces) as pieces:
            self._write(response.head(request.caller, keep_alive=keep_alive, old=old))
            async for piece in pieces:
                self._write(piece if old else b"%x\r\n%b\r\n" % (len(piece), piece))
                if not self._writable:
                    await self._all_read()
        self._write(b"" if old else b"0\r\n\r\n")
        if not self._writable:
            await self._all_read()
        self._close_after = not keep_alive
        self._finish()

    def _write(self, content: bytes) -> None:
        if self._transport is not None and content:
            self._transport.write(content)

    async def _all_read(self) -> None:
        assert self._transport is not None
        self._answer_since = self._loop.time()
        self._answer_bytes = self._transport.get_write_buffer_size()
        self._drained = self._loop.create_future()
        await self._drained

    def _send(self, pending: _Pending, response: Response) -> None:
        if self._transport is None:
            return
        request, _, keep_alive, old = pending
        # What the request took is free: its answer is what counts now.
        self._drop_request()
        size = len(response.body)
        if size > _LARGE:
            if self._owner.budget.take(size):
                self._cost = size
            else:
                response = self._unheld(size)
                size = len(response.body)
        keep_alive = keep_alive and (bool(self._pending) or not self._owner.closing())
        head = response.head(request.caller if request else None, keep_alive=keep_alive, old=old)
        if request is not None and request.method == "HEAD":
            self._transport.write(head)
        elif size > _LARGE:
            self._transport.write(head)
            self._transport.write(response.body)
        else:
            self._transport.write(head + response.body)
        self._close_after = not keep_alive
        if self._writable:
            self._finish()
        else:
            self._answer_since = self._loop.time()
            self._answer_bytes = self._transport.get_write_buffer_size()

    def _unheld(self, size: int) -> Response:
        """The answer instead of one that cannot be kept until it is read."""
        budget = self._owner.budget
        if size > budget.total:
            return error_response(500, budget.too_large(size, "the answer"))
        return error_response(503, budget.busy())

    def _finish(self) -> None:
        """The answer has left."""
        self._busy = False
        if self._cost:
            self._give(self._cost)
            self._cost = 0
        self._idle_since = self._loop.time()
        self._owner.call_ended()
        if self._close_after and self._transport:
            for _ in range(len(self._pending)):
                self._owner.call_ended()
            self._drop_pending()
            if self._reader.refused:
                # What was not read would reset the connection, and the answer might be lost with it (RFC 9112, 9.6).
                self._transport.write_eof()
                self._loop.call_later(_LINGER, self._transport.close)
            else:
                self._transport.close()

    def _drop_request(self) -> None:
        request, self._request = self._request, None
        if request is not None and request.cost:
            self._give(request.cost)

    def _drop_pending(self) -> None:
        for request, *_ in self._pending:
            if request is not None:
                self._give(request.cost)
        self._pending.clear()

    def _give(self, cost: int) -> None:
        if cost:
            self._owner.budget.give(cost)

"""One connection of HTTP/1.1 (RFC 9112): httptools reads, requests are answered one after another."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import NamedTuple, Protocol, cast
from urllib.parse import unquote

import httptools

from chassis.runtime.core.caller import identify
from chassis.runtime.http.message import Request, Response, error_response

MOST_HEADER_BYTES = 64 << 10
"""The longest request line and headers together."""

_MOST_HEADERS = 200
_MOST_PENDING = 16
"""Pipelined requests after which a connection is not read until some are answered."""

_LINGER = 2.0
"""Seconds for a caller to read why its request was refused."""


class Owner(Protocol):
    """What a connection asks of its server."""

    max_request_bytes: int
    connections: set[Connection]

    def handle(self, request: Request) -> Response | Awaitable[Response]:
        """Answers; raises nothing."""

    def call_began(self) -> None:
        """A request arrived."""

    def call_ended(self) -> None:
        """Its answer has left, or its caller."""

    def closing(self) -> bool:
        """Whether connections are to end after what they have."""


class _Pending(NamedTuple):
    """A request that was read, or the error that its reading ended with."""

    request: Request | None
    refusal: Response | None
    keep_alive: bool


class Connection(asyncio.Protocol):
    """Reads requests, has them answered in order, and ends on whatever is no HTTP."""

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._pending: deque[_Pending] = deque()
        self._task: asyncio.Task[None] | None = None
        self._busy = False
        self._writable = True
        self._reading = True
        self._refused = False
        self._close_after = False
        self.last_active = loop.time()
        self._reset()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # `resume_writing` then means that everything has left.
        transport.set_write_buffer_limits(high=0)
        self._owner.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._owner.connections.discard(self)
        self._transport = None
        if self._task is not None:
            self._task.cancel()
        for _ in range(len(self._pending) + self._busy):
            self._owner.call_ended()
        self._pending.clear()
        self._busy = False

    def data_received(self, data: bytes) -> None:
        self.last_active = self._loop.time()
        if self._refused:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(501, "this server speaks HTTP/1.1 and no other protocol")
        except httptools.HttpParserError as error:
            if not self._refused:
                self._refuse(400, f"not a request of HTTP/1.1: {error}")
        else:
            if not self._headers_complete:
                self._header_bytes += len(data)
                if self._header_bytes > MOST_HEADER_BYTES:
                    self._refuse(431, f"the request's headers have more than {MOST_HEADER_BYTES} bytes")

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self._busy and self._task is None:
            self._answered()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._reset()
        self._headers_complete = False

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        self._headers_complete = True
        if len(self._headers) > _MOST_HEADERS:
            self._refuse(431, f"the request has more than {_MOST_HEADERS} headers")
            return
        length = self._headers.get("content-length", "")
        if length.isdigit() and int(length[:20]) > self._owner.max_request_bytes:
            self._refuse_body()
        elif self._headers.get("expect", "").lower() == "100-continue" and self._transport and not self._busy:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self._refused:
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._owner.max_request_bytes:
            self._refuse_body()
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._refused:
            return
        headers = self._headers
        try:
            path = unquote((httptools.parse_url(self._url).path or b"/").decode("ascii"), errors="strict")
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
            self._refuse(400, "the request's target is no URL")
            return
        request = Request(
            self._parser.get_method().decode("ascii"),
            path,
            headers,
            b"".join(self._body),
            identify(headers.get("x-request-id"), headers.get("traceparent")),
        )
        self._reset()
        self._add(_Pending(request, None, self._parser.should_keep_alive()))

    # One after another.

    def close_if_idle(self, since: float) -> None:
        """Closes the connection where nothing was received since `since` and nothing is to be answered."""
        if self._transport and not self._busy and self.last_active < since:
            if self._headers_complete and not self._url:
                self._transport.close()
            else:
                self._refuse(408, "the request did not come whole in time")

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._header_bytes = 0
        self._headers_complete = True

    def _refuse_body(self) -> None:
        self._refuse(413, f"the request's body has more than {self._owner.max_request_bytes} bytes")

    def _refuse(self, status: int, message: str) -> None:
        """Answers what cannot be read, after what came before, and reads no more."""
        self._refused = True
        self._body = []
        self._add(_Pending(None, error_response(status, message), False))

    def _add(self, pending: _Pending) -> None:
        self._owner.call_began()
        self._pending.append(pending)
        if not self._busy:
            self._next()
        elif len(self._pending) >= _MOST_PENDING and self._transport and self._reading:
            self._reading = False
            self._transport.pause_reading()

    def _next(self) -> None:
        """Answers what waits, until one takes time."""
        while self._pending and not self._busy and self._transport:
            pending = self._pending.popleft()
            self._busy = True
            if pending.request is None:
                assert pending.refusal is not None
                self._send(pending, pending.refusal)
                continue
            result = self._owner.handle(pending.request)
            if isinstance(result, Response):
                self._send(pending, result)
            else:
                self._task = self._loop.create_task(self._wait(pending, result))
        if not self._reading and self._transport and len(self._pending) < _MOST_PENDING:
            self._reading = True
            self._transport.resume_reading()

    async def _wait(self, pending: _Pending, answer: Awaitable[Response]) -> None:
        response = await answer
        self._task = None
        self._send(pending, response)
        self._next()

    def _send(self, pending: _Pending, response: Response) -> None:
        if self._transport is None:
            return
        keep_alive = pending.keep_alive and (bool(self._pending) or not self._owner.closing())
        head = response.head(pending.request.caller if pending.request else None, keep_alive=keep_alive)
        if pending.request is not None and pending.request.method == "HEAD":
            self._transport.write(head)
        elif len(response.body) > 1 << 16:
            self._transport.write(head)
            self._transport.write(response.body)
        else:
            self._transport.write(head + response.body)
        self._close_after = not keep_alive
        if self._writable:
            self._finish()

    def _answered(self) -> None:
        self._finish()
        self._next()

    def _finish(self) -> None:
        """The answer has left."""
        self._busy = False
        self.last_active = self._loop.time()
        self._owner.call_ended()
        if self._close_after and self._transport:
            for _ in range(len(self._pending)):
                self._owner.call_ended()
            self._pending.clear()
            if self._refused:
                # What was not read would reset the connection, and the answer might be lost with it (RFC 9112, 9.6).
                self._transport.write_eof()
                self._loop.call_later(_LINGER, self._transport.close)
            else:
                self._transport.close()

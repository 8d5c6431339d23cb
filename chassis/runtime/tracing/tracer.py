"""Spans: made when a request or a call of the model has ended, sent in batches by a thread.

A span is bytes at once (otlp.py), which takes less than to keep what it is made of. OpenTelemetry's own SDK and
exporter are eight packages more in each image.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import logging
import os
import time
from collections import deque
from collections.abc import Iterable
from urllib.parse import urlsplit

from chassis.runtime.core.caller import Caller
from chassis.runtime.tracing import otlp
from chassis.runtime.tracing.trace_settings import TraceSettings
from chassis.runtime.version import VERSION

_LOG = logging.getLogger(__name__)

_INTERNAL, _SERVER = 1, 2
_SUCCEEDED = ("OK", "200")
_RATIO_BITS = 1 << 63


_IDS = 512
"""As many traces and spans get their ids at a time: to ask the kernel for each takes longer than a span."""

_TRACE, _SPAN = 16, 8

Context = tuple[bytes, bytes, bytes]
"""A request's place in a trace: the trace's id, its span's, and what the span says of the one above it."""


class Tracer:
    """All methods belong to the event loop's thread."""

    def __init__(self, settings: TraceSettings, model: str) -> None:
        self._settings = settings
        self._model = model
        self._open: dict[int, Context | None] = {}
        self._waiting: deque[bytes] = deque()
        self._all = settings.ratio >= 1.0
        self._requests: dict[tuple[str, str, int], otlp.Form] = {}
        self._calls: dict[tuple[int, bool], otlp.Form] = {}
        self._kept: list[http.client.HTTPConnection] = []
        self._random = b""
        self._at = 0
        self._dropped = 0
        self._enough = asyncio.Event()

    def begin(self, caller: Caller) -> None:
        """The request of `caller` is handed to the model; `end` is called for it."""
        self._open[id(caller)] = self._context(caller)

    def end(self, caller: Caller, protocol: str, code: str, seconds: float) -> None:
        """The request of `caller`, which took `seconds`, was answered with its protocol's `code`."""
        key = id(caller)
        context = self._open.pop(key) if key in self._open else self._context(caller)
        if context is None:
            return
        request_id = caller.request_id.encode()
        form = self._requests.get((protocol, code, len(request_id)))
        if form is None:
            form = self._request_form(protocol, code, len(request_id))
        ended = time.time_ns()
        self._add(form.span(*context, ended - int(seconds * 1e9), ended, request_id))

    def call(self, callers: Iterable[Caller], items: int, began: float, ended: float, *, failed: bool) -> None:
        """A call of the model with `items` of these callers, from `began` to `ended` (`time.monotonic`).

        It is below the request, if it was for one alone; else it is linked to each.
        """
        of = {id(caller): self._open.get(id(caller)) for caller in callers}
        requests = [context for context in of.values() if context is not None]
        if not requests:
            return
        if len(requests) == 1:
            trace, above, links = requests[0][0], otlp.parent(requests[0][1]), b""
            span = self._id(_SPAN)
        else:
            trace, span, above = self._id(_TRACE), self._id(_SPAN), b""
            links = b"".join([otlp.link(trace, span) for trace, span, _ in requests])
        form = self._calls.get((items, failed))
        if form is None:
            common = otlp.label(f"call {self._model}", _INTERNAL) + otlp.attribute("chassis.items", items)
            form = self._calls[items, failed] = otlp.Form(common, failed=failed)
        epoch = time.time() - time.monotonic()
        self._add(form.span(trace, span, above, int((epoch + began) * 1e9), int((epoch + ended) * 1e9), links))

    async def run(self) -> None:
        """Sends what waits, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), self._settings.delay)
            await self.flush()

    async def flush(self) -> None:
        """Sends all that waits."""
        self._enough.clear()
        while self._waiting:
            most = min(len(self._waiting), self._settings.batch_size)
            spans = [self._waiting.popleft() for _ in range(most)]
            try:
                await asyncio.to_thread(self._send, spans)
            except (OSError, http.client.HTTPException) as error:
                _LOG.warning("spans were not taken", extra={"spans": most, "reason": str(error)})
        if self._dropped:
            _LOG.warning("spans were dropped: more came than could be sent", extra={"spans": self._dropped})
            self._dropped = 0

    def _request_form(self, protocol: str, code: str, length: int) -> otlp.Form:
        """The form of spans of requests with one end, whose ids are of one length."""
        common = otlp.label(f"{protocol} {self._model}", _SERVER)
        common += otlp.attribute("chassis.protocol", protocol) + otlp.attribute("chassis.code", code)
        form = otlp.Form(common, failed=code not in _SUCCEEDED, before=otlp.text("chassis.request_id", length))
        self._requests[protocol, code, length] = form
        return form

    def _add(self, span: bytes) -> None:
        if len(self._waiting) >= self._settings.queue_size:
            self._dropped += 1
            return
        self._waiting.append(span)
        if len(self._waiting) >= self._settings.batch_size:
            self._enough.set()

    def _context(self, caller: Caller) -> Context | None:
        """Below the caller's span, or the first of a trace; None if it is not sampled."""
        settings = self._settings
        if caller.traceparent:
            parts = caller.traceparent.split("-")
            trace = bytes.fromhex(parts[1])
            if not (int(parts[3], 16) & 1 if settings.parent_based else self._chosen(trace)):
                return None
            return trace, self._id(_SPAN), otlp.parent(bytes.fromhex(parts[2]))
        trace = self._id(_TRACE)
        return (trace, self._id(_SPAN), b"") if self._all or self._chosen(trace) else None

    def _id(self, size: int) -> bytes:
        """An id of so many bytes, by chance."""
        at = self._at
        end = at + size
        if end > len(self._random):
            self._random, at, end = os.urandom((_TRACE + _SPAN) * _IDS), 0, size
        self._at = end
        return self._random[at:end]

    def _chosen(self, trace: bytes) -> bool:
        return (int.from_bytes(trace[8:], "big") >> 1) < self._settings.ratio * _RATIO_BITS

    def _send(self, spans: list[bytes]) -> None:
        """Sends them; in a thread, one export at a time."""
        settings = self._settings
        body = otlp.export(settings.attributes, "chassis", VERSION, spans)
        headers = {"content-type": "application/x-protobuf", **dict(settings.headers)}
        if settings.compressed:
            body, headers["content-encoding"] = gzip.compress(body, mtime=0), "gzip"
        try:
            connection, kept = self._kept.pop(), True
        except IndexError:
            connection, kept = self._connection(), False
        try:
            status = self._post(connection, body, headers)
        except OSError as error:  # over TLS ssl.SSLError, which is no ConnectionError
            if not kept or isinstance(error, TimeoutError):
                raise
            status = self._post(self._connection(), body, headers)  # the collector had closed it meanwhile
        if status >= 300:
            raise http.client.HTTPException(f"the collector answered {status}")

    def _connection(self) -> http.client.HTTPConnection:
        url = urlsplit(self._settings.endpoint)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        return kind(url.hostname or "", url.port, timeout=self._settings.timeout)

    def _post(self, connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]) -> int:
        """The status of the answer to `body`; `connection` is kept for the next, unless the collector closes it."""
        url = urlsplit(self._settings.endpoint)
        try:
            connection.request("POST", url.path + (f"?{url.query}" if url.query else ""), body, headers)
            response = connection.getresponse()
            response.read()
        except BaseException:
            connection.close()
            raise
        if connection.sock is not None:
            self._kept.append(connection)
        return response.status

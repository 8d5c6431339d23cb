"""Spans: made when a request or a call of the model has ended, sent in batches by a thread.

The loop's thread does next to nothing for a span: it keeps a tuple. OTLP's messages are few, so that the server has
them itself (chassis/runtime/otlp.proto); OpenTelemetry's own SDK and exporter are eight packages more in each image.
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
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from chassis.runtime import otlp_pb2
from chassis.runtime.core.caller import Caller
from chassis.runtime.tracing.trace_settings import TraceSettings
from chassis.runtime.version import VERSION

_LOG = logging.getLogger(__name__)

_INTERNAL, _SERVER = 1, 2
_ERROR = 2
_SUCCEEDED = ("OK", "200")
_RATIO_BITS = 1 << 63

Attributes = tuple[tuple[str, str | int], ...]


class Context(NamedTuple):
    """A request's place in a trace: `trace` of 16 bytes, `span` and `parent` of 8, the latter empty for a root."""

    trace: bytes
    span: bytes
    parent: bytes
    sampled: bool


class _Span(NamedTuple):
    context: Context
    name: str
    kind: int
    began: float
    ended: float
    attributes: Attributes
    links: tuple[Context, ...]
    failed: bool


class Tracer:
    """All methods belong to the event loop's thread."""

    def __init__(self, settings: TraceSettings, model: str) -> None:
        self._settings = settings
        self._model = model
        self._open: dict[int, Context] = {}
        self._waiting: deque[_Span] = deque()
        self._dropped = 0
        self._enough = asyncio.Event()

    def begin(self, caller: Caller) -> None:
        """The request of `caller` is handed to the model; `end` is called for it."""
        self._open[id(caller)] = self._context(caller)

    def end(self, caller: Caller, protocol: str, code: str, seconds: float) -> None:
        """The request of `caller`, which took `seconds`, was answered with its protocol's `code`."""
        context = self._open.pop(id(caller), None) or self._context(caller)
        now = time.monotonic()
        attributes = (("chassis.protocol", protocol), ("chassis.code", code), ("chassis.request_id", caller.request_id))
        failed = code not in _SUCCEEDED
        self._add(_Span(context, f"{protocol} {self._model}", _SERVER, now - seconds, now, attributes, (), failed))

    def call(self, callers: Iterable[Caller], items: int, began: float, ended: float, *, failed: bool) -> None:
        """A call of the model with `items` of these callers, from `began` to `ended` (`time.monotonic`).

        It is below the request, if it was for one alone; else it is linked to each.
        """
        of = {id(caller): self._open[id(caller)] for caller in callers if id(caller) in self._open}
        requests = tuple(context for context in of.values() if context.sampled)
        if not requests:
            return
        first = requests[0]
        parent = first.span if len(requests) == 1 else b""
        trace = first.trace if parent else os.urandom(16)
        context = Context(trace, os.urandom(8), parent, sampled=True)
        links = () if parent else requests
        name = f"call {self._model}"
        self._add(_Span(context, name, _INTERNAL, began, ended, (("chassis.items", items),), links, failed))

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

    def _add(self, span: _Span) -> None:
        if not span.context.sampled:
            return
        if len(self._waiting) >= self._settings.queue_size:
            self._dropped += 1
            return
        self._waiting.append(span)
        if len(self._waiting) >= self._settings.batch_size:
            self._enough.set()

    def _context(self, caller: Caller) -> Context:
        """Below the caller's span, or the first of a trace."""
        settings = self._settings
        parts = caller.traceparent.split("-")
        if len(parts) >= 4:
            trace, parent = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
            sampled = bool(int(parts[3], 16) & 1) if settings.parent_based else self._chosen(trace)
        else:
            trace, parent = os.urandom(16), b""
            sampled = self._chosen(trace)
        return Context(trace, os.urandom(8), parent, sampled)

    def _chosen(self, trace: bytes) -> bool:
        return (int.from_bytes(trace[8:], "big") >> 1) < self._settings.ratio * _RATIO_BITS

    def _send(self, spans: list[_Span]) -> None:
        """Sends them; in a thread."""
        settings = self._settings
        body = _encoded(spans, settings.attributes)
        headers = {"content-type": "application/x-protobuf", **dict(settings.headers)}
        if settings.compressed:
            body, headers["content-encoding"] = gzip.compress(body, mtime=0), "gzip"
        url = urlsplit(settings.endpoint)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = kind(url.hostname or "", url.port, timeout=settings.timeout)
        try:
            connection.request("POST", url.path + (f"?{url.query}" if url.query else ""), body, headers)
            response = connection.getresponse()
            response.read()
            if response.status >= 300:
                raise http.client.HTTPException(f"the collector answered {response.status}")
        finally:
            connection.close()


def _encoded(spans: list[_Span], attributes: tuple[tuple[str, str], ...]) -> bytes:
    request: Any = otlp_pb2.ExportTraceServiceRequest()  # type: ignore[attr-defined]
    resource = request.resource_spans.add()
    for key, value in attributes:
        resource.resource.attributes.add(key=key).value.string_value = value
    scope = resource.scope_spans.add()
    scope.scope.name, scope.scope.version = "chassis", VERSION
    epoch = time.time_ns() - time.monotonic_ns()
    for span in spans:
        made = scope.spans.add(
            trace_id=span.context.trace,
            span_id=span.context.span,
            parent_span_id=span.context.parent,
            name=span.name,
            kind=span.kind,
            start_time_unix_nano=epoch + int(span.began * 1e9),
            end_time_unix_nano=epoch + int(span.ended * 1e9),
        )
        for key, content in span.attributes:
            kept = made.attributes.add(key=key).value
            if isinstance(content, int):
                kept.int_value = content
            else:
                kept.string_value = content
        for link in span.links:
            made.links.add(trace_id=link.trace, span_id=link.span)
        if span.failed:
            made.status.code = _ERROR
    return bytes(request.SerializeToString())

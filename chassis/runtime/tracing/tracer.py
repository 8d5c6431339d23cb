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
import random
import time
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from chassis.runtime.core.caller import Caller
from chassis.runtime.tracing import otlp
from chassis.runtime.tracing.trace_settings import TraceSettings
from chassis.runtime.version import VERSION

_LOG = logging.getLogger(__name__)

_INTERNAL, _SERVER = 1, 2
_SUCCEEDED = ("OK", "200")
_RATIO_BITS = 1 << 63


class Context(NamedTuple):
    """A request's place in a trace: `trace` of 16 bytes, `span` and `parent` of 8, the latter empty for a root."""

    trace: bytes
    span: bytes
    parent: bytes
    sampled: bool


class Tracer:
    """All methods belong to the event loop's thread."""

    def __init__(self, settings: TraceSettings, model: str) -> None:
        self._settings = settings
        self._model = model
        self._open: dict[int, Context] = {}
        self._waiting: deque[bytes] = deque()
        self._bits = random.Random(os.urandom(32)).getrandbits
        self._all = settings.ratio >= 1.0
        self._rests: dict[tuple[str, str], bytes] = {}
        self._call = otlp.label(f"call {model}", _INTERNAL)
        self._dropped = 0
        self._enough = asyncio.Event()

    def begin(self, caller: Caller) -> None:
        """The request of `caller` is handed to the model; `end` is called for it."""
        self._open[id(caller)] = self._context(caller)

    def end(self, caller: Caller, protocol: str, code: str, seconds: float) -> None:
        """The request of `caller`, which took `seconds`, was answered with its protocol's `code`."""
        context = self._open.pop(id(caller), None) or self._context(caller)
        if not context.sampled:
            return
        rest = self._rests.get((protocol, code)) or self._rest(protocol, code)
        request_id = caller.request_id.encode()
        rest += otlp.before_text("chassis.request_id", len(request_id)) + request_id
        ended = time.time_ns()
        began = ended - int(seconds * 1e9)
        failed = code not in _SUCCEEDED
        self._add(otlp.span(context.trace, context.span, context.parent, began, ended, rest=rest, failed=failed))

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
        trace = first.trace if parent else self._bits(128).to_bytes(16, "big")
        links = b"" if parent else b"".join([otlp.link(one.trace, one.span) for one in requests])
        rest = self._call + otlp.attribute("chassis.items", items) + links
        epoch = time.time() - time.monotonic()
        times = int((epoch + began) * 1e9), int((epoch + ended) * 1e9)
        self._add(otlp.span(trace, self._bits(64).to_bytes(8, "big"), parent, *times, rest=rest, failed=failed))

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

    def _rest(self, protocol: str, code: str) -> bytes:
        """What the spans of requests with one end have in common."""
        rest = otlp.label(f"{protocol} {self._model}", _SERVER)
        rest += otlp.attribute("chassis.protocol", protocol) + otlp.attribute("chassis.code", code)
        self._rests[protocol, code] = rest
        return rest

    def _add(self, span: bytes) -> None:
        if len(self._waiting) >= self._settings.queue_size:
            self._dropped += 1
            return
        self._waiting.append(span)
        if len(self._waiting) >= self._settings.batch_size:
            self._enough.set()

    def _context(self, caller: Caller) -> Context:
        """Below the caller's span, or the first of a trace."""
        settings = self._settings
        if caller.traceparent:
            parts = caller.traceparent.split("-")
            trace, parent = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
            sampled = bool(int(parts[3], 16) & 1) if settings.parent_based else self._chosen(trace)
        else:
            trace, parent = self._bits(128).to_bytes(16, "big"), b""
            sampled = self._all or self._chosen(trace)
        return Context(trace, self._bits(64).to_bytes(8, "big"), parent, sampled)

    def _chosen(self, trace: bytes) -> bool:
        return (int.from_bytes(trace[8:], "big") >> 1) < self._settings.ratio * _RATIO_BITS

    def _send(self, spans: list[bytes]) -> None:
        """Sends them; in a thread."""
        settings = self._settings
        body = otlp.export(settings.attributes, "chassis", VERSION, spans)
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

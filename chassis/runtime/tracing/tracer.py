"""Spans: made when a request or a call of the model has ended, sent in batches by a thread.

A span is bytes at once (otlp.py), which takes less than to keep what it is made of. OpenTelemetry's own SDK and
exporter are eight packages more in each image.
"""

from __future__ import annotations

import asyncio
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
"""As many spans get their ids at a time: to ask the kernel for each takes longer than a span."""


class Tracer:
    """All methods belong to the event loop's thread."""

    def __init__(self, settings: TraceSettings, model: str) -> None:
        self._settings = settings
        self._model = model
        self._open: dict[int, bytes | None] = {}
        self._waiting: deque[bytes] = deque()
        self._all = settings.ratio >= 1.0
        self._requests: dict[tuple[str, str, int], otlp.Form] = {}
        self._calls: dict[tuple[int, bool], otlp.Form] = {}
        self._kept: list[http.client.HTTPConnection] = []
        self._places: list[bytes] = []
        self._dropped = 0
        self._enough = asyncio.Event()

    def begin(self, caller: Caller) -> None:
        """The request of `caller` is handed to the model; `end` is called for it."""
        self._open[id(caller)] = self._place(caller)

    def end(self, caller: Caller, protocol: str, code: str, seconds: float) -> None:
        """The request of `caller`, which took `seconds`, was answered with its protocol's `code`."""
        key = id(caller)
        place = self._open.pop(key) if key in self._open else self._place(caller)
        if place is None:
            return
        request_id = caller.request_id.encode()
        form = self._requests.get((protocol, code, len(request_id)))
        if form is None:
            form = self._request_form(protocol, code, len(request_id))
        ended = time.time_ns()
        self._add(form.span(place, ended - int(seconds * 1e9), ended, request_id))

    def call(self, callers: Iterable[Caller], items: int, began: float, ended: float, *, failed: bool) -> None:
        """A call of the model with `items` of these callers, from `began` to `ended` (`time.monotonic`).

        It is below the request, if it was for one alone; else it is linked to each.
        """
        of = dict.fromkeys(map(self._open.get, map(id, callers)))
        requests = [place for place in of if place is not None]
        if not requests:
            return
        place, links = self._new_place(), b""
        if len(requests) == 1:
            trace, above = otlp.ids(requests[0])
            place = otlp.place(trace, otlp.ids(place)[1], above)
        else:
            links = otlp.links(requests)
        form = self._calls.get((items, failed))
        if form is None:
            common = otlp.label(f"call {self._model}", _INTERNAL) + otlp.attribute("chassis.items", items)
            form = self._calls[items, failed] = otlp.Form(common, failed=failed)
        epoch = time.time() - time.monotonic()
        self._add(form.span(place, int((epoch + began) * 1e9), int((epoch + ended) * 1e9), links))

    async def run(self) -> None:
        """Sends what waits, until cancelled: full exports as soon as there are some, the rest after a while."""
        while True:
            rest = 0
            try:
                await asyncio.wait_for(self._enough.wait(), self._settings.delay)
                rest = len(self._waiting) % self._settings.batch_size
            except (TimeoutError, asyncio.TimeoutError):  # noqa: UP041, two in Python 3.10
                pass
            await self._export(len(self._waiting) - rest)

    async def flush(self) -> None:
        """Sends all that waits."""
        while self._waiting:
            await self._export(len(self._waiting))

    async def _export(self, count: int) -> None:
        """Sends so many spans of those that wait, and none that comes meanwhile: that would be an export for a few."""
        self._enough.clear()
        while count > 0:
            most = min(count, self._settings.batch_size)
            spans = [self._waiting.popleft() for _ in range(most)]
            count -= most
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
        waiting = self._waiting
        waiting.append(span)
        if len(waiting) >= self._settings.batch_size:
            self._enough.set()
            if len(waiting) > self._settings.queue_size:
                waiting.pop()
                self._dropped += 1

    def _place(self, caller: Caller) -> bytes | None:
        """Below the caller's span, or the first of a trace; None if it is not sampled."""
        place = self._places.pop() if self._places else self._new_place()
        settings = self._settings
        if caller.traceparent:
            _, given, above, flags, *_ = caller.traceparent.split("-")
            trace = bytes.fromhex(given)
            if not (int(flags, 16) & 1 if settings.parent_based else self._chosen(trace)):
                return None
            return otlp.place(trace, otlp.ids(place)[1], bytes.fromhex(above))
        return place if self._all or self._chosen(otlp.ids(place)[0]) else None

    def _new_place(self) -> bytes:
        """One with ids by chance, that begins a trace."""
        if not self._places:
            self._places = otlp.places(os.urandom(otlp.PLACE * _IDS))
        return self._places.pop()

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

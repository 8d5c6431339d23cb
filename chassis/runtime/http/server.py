"""The HTTP server: listens, hands requests to their routes, and sees the last answer off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from http import HTTPStatus

from chassis.errors import ChassisError
from chassis.runtime.core.request_error import RequestError
from chassis.runtime.http.connection import Connection
from chassis.runtime.http.message import Handler, Request, Response, Route, error_response

_LOG = logging.getLogger(__name__)

_BACKLOG = 1024
_IDLE = 75.0
"""Seconds that a connection stays open without a byte."""

_SWEEP = 5.0
_PAUSE = 0.03
_ROUNDS = 10
"""Seconds, and turns of the event loop, without a request that tell that none is on its way."""


class HttpAddressError(ChassisError):
    """An address that cannot be listened on."""


class HttpServer:
    """Serves `routes` over HTTP/1.1; an `Owner` of its connections."""

    def __init__(self, routes: Iterable[Route], *, max_request_bytes: int, not_found: Handler) -> None:
        """Takes paths with their handlers, what answers other paths, and the largest body that is read."""
        self.max_request_bytes = max_request_bytes
        self.connections: set[Connection] = set()
        self._routes: dict[str, dict[str, Handler]] = {}
        for route in routes:
            self._routes.setdefault(route.path, {})[route.method] = route.handler
        self._not_found = not_found
        self._open = 0
        self._arrivals = 0
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._closing = False
        self._servers: list[asyncio.Server] = []
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens on `host` and `port`; returns the port, which is a free one where `port` is 0.

        Raises:
          HttpAddressError: the address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        everywhere = host in ("[::]", "::", "")
        names = ["0.0.0.0", "::"] if everywhere else [host.strip("[]")]
        for name in names:
            try:
                server = await loop.create_server(
                    lambda: Connection(self, loop), name, port, backlog=_BACKLOG, reuse_address=True
                )
            except OSError as error:
                # A machine without IPv6 has IPv4 all the same.
                if everywhere and name == "::" and self._servers:
                    continue
                raise HttpAddressError(
                    f"cannot listen on {name}:{port}: {error.strerror or error}; "
                    "HTTP_PORT and CHASSIS_HOST choose another address, CHASSIS_SERVERS leaves HTTP out"
                ) from None
            self._servers.append(server)
            port = server.sockets[0].getsockname()[1]
        self._sweeping = loop.create_task(self._sweep())
        return port

    def handle(self, request: Request) -> Response | Awaitable[Response]:
        """Answers `request`; whatever fails becomes a response."""
        methods = self._routes.get(request.path)
        if methods is None:
            handler: Handler | None = self._not_found
        else:
            handler = methods.get("GET" if request.method == "HEAD" else request.method)
            if handler is None:
                allowed = ", ".join(sorted(methods))
                return error_response(405, f"{request.path} takes {allowed}, not {request.method}", {"allow": allowed})
        try:
            result = handler(request)
        except Exception as error:
            return _failure(request, error)
        return result if isinstance(result, Response) else self._later(request, result)

    def call_began(self) -> None:
        """Counts a request."""
        self._open += 1
        self._arrivals += 1
        self._none_open.clear()

    def call_ended(self) -> None:
        """Counts an answer that has left."""
        self._open -= 1
        if not self._open:
            self._none_open.set()

    def closing(self) -> bool:
        """Whether connections end after what they have."""
        return self._closing

    def begin_to_close(self) -> None:
        """From now on connections end with their answers.

        Those without a request stay until the process ends: one may be on its way, and a close would reset it.
        """
        self._closing = True

    async def quiet(self, timeout: float) -> None:
        """Returns when no request comes any more, after `timeout` seconds at the latest."""
        loop = asyncio.get_running_loop()
        until, rounds = loop.time() + timeout, 0
        while rounds < _ROUNDS and loop.time() < until:
            before = self._arrivals
            await asyncio.sleep(_PAUSE / _ROUNDS)
            rounds = rounds + 1 if self._arrivals == before else 0

    async def wait_answered(self, timeout: float) -> bool:
        """Waits until every answer has left; False where some have not after `timeout` seconds."""
        try:
            await asyncio.wait_for(self._none_open.wait(), timeout)
        except TimeoutError:
            return False
        return True

    @staticmethod
    async def _later(request: Request, answer: Awaitable[Response]) -> Response:
        try:
            return await answer
        except Exception as error:
            return _failure(request, error)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP)
            for connection in list(self.connections):
                connection.close_if_idle(loop.time() - _IDLE)


def _failure(request: Request, error: Exception) -> Response:
    """What a caller hears of `error`: the reason of a RequestError, of others only that there was one."""
    if isinstance(error, RequestError):
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _LOG.warning("a request failed", extra={"status": error.status, **request.caller.log_fields()})
        return error_response(error.status, str(error))
    _LOG.error("a request failed", exc_info=error, extra={"status": 500, **request.caller.log_fields()})
    return error_response(500, "the server failed; its log holds the reason under the request's id")

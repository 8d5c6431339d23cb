"""The HTTP server: listens, hands requests to their routes, and sees the last answer off."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Collection, Iterable
from http import HTTPStatus

from chassis.errors import ChassisError
from chassis.runtime.content_coding import (
    WORTH_IT,
    ContentDecoder,
    ContentError,
    TooLargeError,
    compress,
    preferred,
)
from chassis.runtime.core.budget import Budget
from chassis.runtime.core.request_error import RequestError
from chassis.runtime.http.connection import Admission, Connection
from chassis.runtime.http.known_heads import KnownHeads
from chassis.runtime.http.message import Handler, Request, Response, Route, error_response
from chassis.runtime.http.reader import COPIES
from chassis.runtime.limits import Limits

_LOG = logging.getLogger(__name__)

_BACKLOG = 1024
_SPARE = 32
"""Connections beyond the most that are served: they may ask for health, and are told that there are too many."""

_SWEEP = 1.0
_EVICTABLE = 1.0
"""Seconds without a request after which a connection may be closed to make room for another."""

_LOOKED_AT = 64
_LOG_INTERVAL = 10.0
_PAUSE = 0.03
_ROUNDS = 10
"""Seconds, and turns of the event loop, without a request that tell that none is on its way."""

_TURNS = 8
"""Connections with very many requests at once that have some read in a turn of the event loop, which accepts a single
connection in it."""

_OFFLOADED = 1 << 18
"""Bytes of an answer above which another thread compresses it: the loop would be blocked for milliseconds."""

_PREFLIGHT_SECONDS = "600"


class HttpAddressError(ChassisError):
    """An address that cannot be listened on."""


class HttpServer:
    """Serves `routes` over HTTP/1.1; an `Owner` of its connections."""

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        limits: Limits,
        budget: Budget,
        not_found: Handler,
        vital: Collection[str] = (),
        origins: Collection[str] = (),
    ) -> None:
        """Takes paths with their handlers, the bounds, what answers other paths, the `vital` paths that are answered
        even to connections too many, and the `origins` whose pages may read answers (`*`: all)."""
        self.limits = limits
        self.budget = budget
        self.known = KnownHeads()
        self._connections: dict[Connection, None] = {}
        self._decoder = ContentDecoder(budget, limits.request_bytes)
        self._vital = frozenset(vital)
        self._origins = frozenset(origins)
        self._logged = 0.0
        self._routes: dict[str, dict[str, Handler]] = {}
        for route in routes:
            self._routes.setdefault(route.path, {})[route.method] = route.handler
        self._not_found = not_found
        self._open = 0
        self._arrivals = 0
        self._none_open = asyncio.Event()
        self._none_open.set()
        self._closing = False
        self._turns: deque[Connection] = deque()
        self._turn: asyncio.Handle | None = None
        self._servers: list[asyncio.Server] = []
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens on `host` and `port`; returns the port, which is a free one if `port` is 0.

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

    def opened(self, connection: Connection) -> Admission:
        """Counts a connection. If there are too many one without a request makes room."""
        count = len(self._connections)
        self._connections[connection] = None
        if count < self.limits.connections or self._evict():
            return Admission.SERVED
        now = asyncio.get_running_loop().time()
        if not self._logged or now - self._logged > _LOG_INTERVAL:
            self._logged = now
            _LOG.warning("connections have run out", extra={"connections": self.limits.connections})
        return Admission.SPARE if count < self.limits.connections + _SPARE else Admission.REFUSED

    def closed(self, connection: Connection) -> None:
        """Counts a connection that is gone."""
        self._connections.pop(connection, None)

    def handle(self, request: Request, *, spare: bool = False) -> Response | Awaitable[Response]:
        """Answers `request`, at once or later; what fails later is for `failed`. A `spare` connection hears of health
        alone."""
        result: Response | Awaitable[Response]
        try:
            if spare and request.path not in self._vital:
                raise RequestError(503, f"{self.limits.connections} connections are open, which is the most")
            result = self._decoded(request) if request.coding else self._answer(request)
        except Exception as error:
            result = _failure(request, error)
        headers = request.headers
        if not isinstance(result, Response):
            return self._later(request, result) if "origin" in headers or "accept-encoding" in headers else result
        if "origin" in headers or ("accept-encoding" in headers and len(result.body) >= WORTH_IT):
            return self._shaped(request, result)
        return result

    async def _decoded(self, request: Request) -> Response:
        """Answers a request whose body is compressed."""
        try:
            body, cost = await self._decoder.decode(request.take_body(), request.coding)
        except TooLargeError as error:
            raise RequestError(413, str(error)) from None
        except ContentError as error:
            raise RequestError(400, f"the request's body: {error}") from None
        request.put_body(body, cost)
        more = int(cost * COPIES) - cost
        self.budget.require(more, "the request's body")
        self.budget.take(more)
        request.cost += more
        del body
        result = self._answer(request)
        return result if isinstance(result, Response) else await result

    def _answer(self, request: Request) -> Response | Awaitable[Response]:
        methods = self._routes.get(request.path)
        if methods is None and len(request.path) > 1 and request.path.endswith("/"):
            methods = self._routes.get(request.path[:-1])
        if methods is None:
            if request.path == "*" and request.method == "OPTIONS":  # of the server as a whole (RFC 9110, 9.3.7)
                return Response(204, headers={"allow": "GET, HEAD, OPTIONS, POST"})
            return self._not_found(request)
        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is not None:
            return handler(request)
        found = {*methods, "OPTIONS", *(("HEAD",) if "GET" in methods else ())}
        allowed = ", ".join(sorted(found))
        if request.method == "OPTIONS":
            return Response(204, headers={"allow": allowed})
        return error_response(405, f"{request.path} takes {allowed}, not {request.method}", {"allow": allowed})

    def _shaped(self, request: Request, response: Response) -> Response | Awaitable[Response]:
        """`response` for a page of another origin, if that may read it, and compressed if the client asks."""
        if "origin" in request.headers:
            response = self._shared(request, response)
        if len(response.body) < WORTH_IT:
            return response
        coding = preferred(request.headers.get("accept-encoding", ""))
        if not coding:
            return _varied(response)
        if len(response.body) < _OFFLOADED:
            return _compressed(response, coding)
        return self._offloaded(response, coding)

    def _shared(self, request: Request, response: Response) -> Response:
        origin = request.headers["origin"]
        if "*" not in self._origins and origin not in self._origins:
            return response
        headers = {**response.headers, "access-control-allow-origin": "*" if "*" in self._origins else origin}
        if "*" not in self._origins:
            headers["vary"] = "Origin"
        asked = request.headers.get("access-control-request-method")
        if request.method == "OPTIONS" and asked and "allow" in response.headers:
            headers["access-control-allow-methods"] = response.headers["allow"]
            headers["access-control-max-age"] = _PREFLIGHT_SECONDS
            wanted = request.headers.get("access-control-request-headers")
            if wanted:
                headers["access-control-allow-headers"] = wanted
        else:
            headers["access-control-expose-headers"] = "inference-header-content-length, retry-after, x-request-id"
        return response._replace(headers=headers)

    @staticmethod
    async def _offloaded(response: Response, coding: str) -> Response:
        return await asyncio.get_running_loop().run_in_executor(None, _compressed, response, coding)

    def _evict(self) -> bool:
        """Closes a connection without a request, one of the oldest."""
        since = asyncio.get_running_loop().time() - _EVICTABLE
        for connection in itertools.islice(self._connections, _LOOKED_AT):
            if connection.is_idle(since):
                self.closed(connection)
                connection.close()
                return True
        return False

    def call_began(self) -> None:
        """Counts a request."""
        if not self._open:
            self._none_open.clear()
        self._open += 1
        self._arrivals += 1

    def call_ended(self) -> None:
        """Counts an answer that has left."""
        self._open -= 1
        if not self._open:
            self._none_open.set()

    def await_turn(self, connection: Connection) -> None:
        """Has `connection` read on when others had their turn."""
        self._turns.append(connection)
        self._await_turns()

    def _await_turns(self) -> None:
        if self._turns and self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._take_turns)

    def _take_turns(self) -> None:
        self._turn = None
        for _ in range(min(len(self._turns), _TURNS)):
            self._turns.popleft().read_on()  # which may await another
        self._await_turns()

    def closing(self) -> bool:
        """Whether connections end after their current request."""
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
        """Waits until every answer has left; False if some have not after `timeout` seconds."""
        try:
            await asyncio.wait_for(self._none_open.wait(), timeout)
        except (TimeoutError, asyncio.TimeoutError):  # noqa: UP041, two in Python 3.10
            return False
        return True

    async def _later(self, request: Request, answer: Awaitable[Response]) -> Response:
        try:
            response = await answer
        except Exception as error:
            response = _failure(request, error)
        if response.pieces is not None:
            return self._shared(request, response) if "origin" in request.headers else response
        shaped = self._shaped(request, response)
        return shaped if isinstance(shaped, Response) else await shaped

    @staticmethod
    def failed(request: Request, error: Exception) -> Response:
        """The answer to a request that raised `error`."""
        return _failure(request, error)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP)
            now = loop.time()
            for connection in list(self._connections):
                connection.check(now)
            self.budget.trim()


def _varied(response: Response) -> Response:
    vary = response.headers.get("vary")
    return response._replace(
        headers={**response.headers, "vary": f"{vary}, Accept-Encoding" if vary else "Accept-Encoding"}
    )


def _compressed(response: Response, coding: str) -> Response:
    """`response` in `coding`, if that is smaller."""
    response = _varied(response)
    body = compress(response.body, coding)
    if len(body) >= len(response.body):
        return response
    return response._replace(body=body, headers={**response.headers, "content-encoding": coding})


def _failure(request: Request, error: Exception) -> Response:
    """What a caller hears of `error`: the reason of a RequestError, of others only that there was one."""
    if isinstance(error, RequestError):
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _LOG.warning("a request failed", extra={"status": error.status, **request.caller.log_fields()})
        return error_response(error.status, str(error))
    _LOG.error("a request failed", exc_info=error, extra={"status": 500, **request.caller.log_fields()})
    return error_response(500, "the server failed; its log holds the reason under the request's id")

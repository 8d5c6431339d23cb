"""What is checked of every request before anything else: its target, its host, its token, and that its body comes."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.errors import ChassisError
from chassis.service.clients import Clients
from chassis.service.connections import ConnectionLimits
from chassis.service.printable import printable

_HOST = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the service behaves.

    Attributes:
      hosts: what the Host header may say, without port; empty for anything.
      registry: where images go that were asked for without a registry; empty for nowhere.
      connections: how slow a body may be.
    """

    hosts: frozenset[str] = frozenset()
    registry: str = ""
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)


class RequestError(ChassisError):
    """A request that is refused; carries the HTTP status, and in how many seconds to try again."""

    def __init__(self, status: int, message: str, retry_after: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class Guard:
    """What is checked of every request before anything else: the target, the Host header, and the token.

    The path is the one that the routes see. Starlette's `request.url` is put together from the Host header, which is
    the caller's: `Host: x/healthz?` makes every path an open one there.
    """

    _OPEN = ("/", "/healthz", "/openapi.json")

    def __init__(self, app: ASGIApp, clients: Clients, options: ServerOptions) -> None:
        self._app = app
        self._clients = clients
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"nothing but HTTP is served, not {scope['type']}")
        refusal = self._refusal(scope)
        if refusal:
            await refusal(scope, receive, send)
            return
        await self._app(scope, self._timed(receive), send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not scope["path"].startswith("/"):
            return error_reply(400, "the request's target is not a path")
        host = headers.get("host", "")
        if host and not _HOST.fullmatch(host):
            return error_reply(400, f"host {host[:100]!r}: expected host or host:port")
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        if self._options.hosts and name.lower() not in self._options.hosts:
            # A page of another site whose name was made to point here would else speak with the service.
            return error_reply(
                421, f"host {host[:100]!r} is not one of this service's; start it with --host to serve others"
            )
        client = self._clients.find(headers.get("authorization", ""))
        if client is None and scope["path"] not in self._OPEN:
            reply = error_reply(401, "a bearer token is needed: ChassisClient(url, auth_header='Bearer …')")
            reply.headers["www-authenticate"] = "Bearer"
            return reply
        scope["state"]["client"] = client
        if client and self._clients.with_tokens:
            scope["state"]["holder"] = client.name  # of the connection (connections.py)
        return None

    def _timed(self, receive: Receive) -> Receive:
        """`receive` that does not wait for ever, however slowly a body drips."""
        limits, begin = self._options.connections, time.monotonic()
        received, complete = 0, False

        async def timed() -> Message:
            nonlocal received, complete
            if complete:
                return await receive()  # which tells of the caller's end
            try:
                message = await asyncio.wait_for(receive(), limits.stalled_seconds)
            except TimeoutError:
                raise RequestError(408, f"nothing of the body came for {limits.stalled_seconds:g} s") from None
            complete = not message.get("more_body")
            received += len(message.get("body", b""))
            late = time.monotonic() - begin - limits.stalled_seconds
            if not complete and late > 0 and received < late * limits.least_rate:
                raise RequestError(408, f"the body comes more slowly than {limits.least_rate} bytes a second")
            return message

        return timed


def error_reply(status: int, message: str, retry_after: int = 0) -> Response:
    """What is answered to a request that is refused, as `Error` of the description has it."""
    headers = {"retry-after": str(retry_after)} if retry_after else None
    return JSONResponse({"error": printable(message)}, status, headers)

"""A request and a response of HTTP/1.1, as handlers see them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from chassis.runtime.core.caller import Caller
from chassis.runtime.core.request_error import RETRY_AFTER

if TYPE_CHECKING:
    from chassis.runtime.core.contract import Contract

JSON = "application/json"


class Request:
    """A whole request.

    Attributes:
      method: such as `POST`.
      path: percent-decoded, without its query.
      headers: by name in lower case; of a name that comes twice, the values with `, ` between.
      caller: its names in logs.
      cost: the bytes of the budget that are its own until it is answered.
      coding: of its body, see `content_coding`; empty for none.
    """

    __slots__ = ("_body", "caller", "coding", "cost", "headers", "method", "path")

    def __init__(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | bytearray,
        caller: Caller,
        cost: int = 0,
        coding: str = "",
    ) -> None:
        """Takes the body without the encoding of the transfer."""
        self.method = method
        self.path = path
        self.headers = headers
        self.caller = caller
        self.cost = cost
        self.coding = coding
        self._body: bytes | bytearray = body

    def take_body(self) -> bytes | bytearray:
        """The body, once: from then on it is the caller's alone, and its memory is free when the caller drops it."""
        body, self._body = self._body, b""
        return body

    def tell(self, contract: Contract, parameters: Mapping[str, object], identifier: str = "") -> None:
        """Names it as `identifier`, if its headers name it nothing, and has a function that takes the request told."""
        if identifier and "x-request-id" not in self.headers:
            self.caller = self.caller.named(identifier)
        self.caller = self.caller.telling(contract, self.headers, parameters)

    def put_body(self, body: bytes | bytearray, cost: int) -> None:
        """Puts another body in the place of the one that was taken, of `cost` further bytes of the budget."""
        self._body = body
        self.cost += cost


class Response(NamedTuple):
    """A whole response; `Content-Length` is added when it is sent."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = MappingProxyType({})
    pieces: AsyncGenerator[bytes, None] | None = None
    """A body that is sent as it is made, in place of `body`. It raises nothing, and is closed if its caller leaves."""

    def head(self, caller: Caller | None, *, keep_alive: bool, old: bool = False) -> bytes:
        """Status line and headers, the empty line included.

        An `old` client, of HTTP/1.0, has to be told that the connection stays open.
        """
        text = _STARTS.get(self.status) or f"HTTP/1.1 {self.status} Unknown"
        if self.pieces is not None:
            text = f"{text}\r\ncontent-type: {self.content_type}"
            if not old:
                text += "\r\ntransfer-encoding: chunked"
        elif self.status not in _WITHOUT_BODY:
            kind = f"\r\ncontent-type: {self.content_type}" if self.body else ""
            text = f"{text}\r\ncontent-length: {len(self.body)}{kind}"
        for name, value in self.headers.items():
            text = f"{text}\r\n{name}: {value}"
        if caller is not None:
            text = f"{text}\r\nx-request-id: {caller.request_id}"
            if caller.traceparent:
                text = f"{text}\r\ntraceparent: {caller.traceparent}"
        if not keep_alive:
            text += "\r\nconnection: close"
        elif old:
            text += "\r\nconnection: keep-alive"
        return f"{text}\r\n\r\n".encode("latin-1")


Handler = Callable[[Request], Response | Awaitable[Response]]
"""Answers a request, at once or later; raises RequestError."""


class Route(NamedTuple):
    """What answers `method` at `path`; `operation` names it in the OpenAPI description."""

    path: str
    method: str
    handler: Handler
    operation: str


def json_response(status: int, value: object) -> Response:
    """A response of compact JSON."""
    return Response(status, write_json(value))


def write_json(value: object) -> bytes:
    """`value` as compact JSON."""
    return "".join(_CHUNKS(value, 0)).encode()


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """`{"error": message}`, as the Open Inference Protocol wants it; 503 says when to come again."""
    response = json_response(status, {"error": message})
    extra = {"retry-after": str(RETRY_AFTER)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Response(status, response.body, JSON, {**extra, **(headers or {})})


# As `json.dumps(value, separators=(",", ":"))`, which makes one of these each time.
_CHUNKS = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None, json.JSONEncoder().default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True
)
_WITHOUT_BODY = (204, 304)
_STARTS = {int(status): f"HTTP/1.1 {int(status)} {status.phrase}" for status in HTTPStatus}

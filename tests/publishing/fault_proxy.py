"""An HTTP proxy on loopback in front of a registry and does harm when a test tells it to.

Everything that no rule is about passes through to the real registry, and every request is recorded.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.loopback_server import LoopbackServer

_BLOCK = 16 << 10
_UPSTREAM_SECONDS = 30.0
_HOP_HEADERS = ("connection", "keep-alive", "transfer-encoding")


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived; `number` counts all of them from 0."""

    number: int
    method: str
    path: str
    headers: dict[str, str]

    @property
    def size(self) -> int:
        """Bytes of its body."""
        return int(self.headers.get("content-length", "0"))

    def is_blob_data(self) -> bool:
        """Whether it carries bytes of a blob."""
        return self.method in ("PATCH", "PUT") and "/blobs/uploads/" in self.path and self.size > 0


@dataclass(frozen=True, slots=True)
class Harm:
    """What to do to a request.

    `status`, with `headers` and `body`, is an answer in the registry's place. `cut_request` is the number of
    the body's bytes after which the connection is reset; with `hold` none of them is passed on, as by a proxy
    that collects requests. `drop` is a header of the request that is not passed on. `cut_answer` resets once
    the registry has served the request, `cut_body` after so many bytes of the answer's body, `tamper` changes
    that body, `replace` headers of the answer, to which `add` adds. `slow` passes so many bytes of the
    request's body a second for `slow_seconds`, then all at once.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut_request: int | None = None
    hold: bool = False
    drop: str = ""
    cut_answer: bool = False
    cut_body: int | None = None
    tamper: Callable[[bytes], bytes] = lambda data: data
    replace: dict[str, str] = field(default_factory=dict)
    add: dict[str, str] = field(default_factory=dict)
    slow: int = 0
    slow_seconds: float = 5.0


Rule = Callable[[Request], Harm | None]


class FaultProxy(LoopbackServer):
    """The proxy; a context manager. `rule` decides on each request and may be set anew at any time.

    `requests` are those that arrived, `answers` those that the registry answered, with the status.
    """

    def __init__(self, upstream: str, rule: Rule = lambda request: None) -> None:
        self.rule = rule
        self.requests: list[Request] = []
        self.answers: list[tuple[Request, int]] = []
        self.upstream = upstream
        self.lock = threading.Lock()
        server = _Server(("127.0.0.1", 0), _Handler)
        server.proxy = self
        super().__init__(server)

    def record(self, method: str, path: str, headers: dict[str, str]) -> Request:
        """Notes a request."""
        with self.lock:
            request = Request(len(self.requests), method, path, headers)
            self.requests.append(request)
            return request

    def sent_blobs(self) -> int:
        """Bytes of blobs in all requests so far, as their Content-Length says."""
        return sum(request.size for request in self.requests if request.is_blob_data())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: FaultProxy

    def handle_error(self, request: object, client_address: object) -> None:
        """Broken connections are this server's purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = self.server.proxy.record(self.command, self.path, headers)
        harm = self.server.proxy.rule(request) or Harm()
        if harm.status:
            self._discard(request.size)
            self._answer(harm.status, list(harm.headers.items()), harm.body)
            return
        if harm.cut_request is not None and harm.hold:
            self._discard(min(harm.cut_request, request.size))
            self._reset()
            return
        connection = http.client.HTTPConnection(self.server.proxy.upstream, timeout=_UPSTREAM_SECONDS)
        with contextlib.closing(connection):
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in (*_HOP_HEADERS, harm.drop):
                        connection.putheader(name, value)
                connection.endheaders()
                for block in self._body(request, harm):
                    connection.send(block)
                if harm.cut_request is not None:
                    self._reset()
                    return
                answer = connection.getresponse()
                data = answer.read()
                self.server.proxy.answers.append((request, answer.status))
            except (OSError, http.client.HTTPException):
                self._reset()
                return
        if harm.cut_answer:
            self._reset()
            return
        data = harm.tamper(data)
        kept = [(name, harm.replace.get(name, value)) for name, value in answer.getheaders()]
        kept += harm.add.items()
        self._answer(answer.status, [item for item in kept if item[0].lower() not in _HOP_HEADERS], data, harm.cut_body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _body(self, request: Request, harm: Harm) -> Iterator[bytes]:
        left = request.size if harm.cut_request is None else min(harm.cut_request, request.size)
        begin = time.monotonic()
        while left:
            slow = harm.slow and time.monotonic() < begin + harm.slow_seconds
            block = self.rfile.read(min(left, max(1, harm.slow // 10) if slow else _BLOCK))
            if not block:
                raise ConnectionResetError
            left -= len(block)
            yield block
            if slow:
                time.sleep(0.1)

    def _discard(self, size: int) -> None:
        while size and (block := self.rfile.read(min(size, _BLOCK))):
            size -= len(block)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, cut: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
            if cut is not None and cut < len(body):
                self.wfile.flush()
                self.close_connection = True

    def _reset(self) -> None:
        """Ends the connection as a crash would: with a reset instead of a farewell."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

"""Serves the page on which a person tries a model, and hands what it asks to the model's server.

`IMAGE.serve` alone has it: no byte of it is in an image, whose server stays as it is in production. The page and the
requests share one origin, so the model's server needs no headers for pages of other hosts.
"""

from __future__ import annotations

import http.client
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from chassis.image_test.listening import host_headers, not_listened, reached
from chassis.image_test.trial_page import Page

_DESCRIPTION = "/openapi.json"
_REQUEST_HEADERS = ("content-type", "inference-header-content-length")
_ANSWER_HEADERS = ("content-type", "inference-header-content-length")
_TYPES = ("application/json", "application/octet-stream")
_MAX_BODY = 1 << 30
_MAX_REQUESTS = 4
"""As many bodies are in memory at a time; more wait until one is answered."""
_SECONDS = 3600.0
"""How long a request may take. It goes on if the page is closed meanwhile."""
_QUIET = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@contextmanager
def trial_server(page: Page, path: str, address: tuple[str, int], model_port: int) -> Iterator[str]:
    """Serves `page` at host and port of `address` while in the context; gives its URL.

    POST to `path` and the server's description go to the port `model_port` of the same host, all else is not found.

    Raises:
      PortError: another program has the port.
    """
    host, port = address
    try:
        server = _Server(address, _Handler)
    except OSError as error:
        raise not_listened(host, port, error) from None
    server.trial = _Served(page, path, (reached(host), model_port), host_headers(host, server.server_port))
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True, slots=True)
class _Served:
    """`path` is that of requests for the server at `model`; `hosts` are names that browsers may use, empty for any."""

    page: Page
    path: str
    model: tuple[str, int]
    hosts: frozenset[str]


class _Server(ThreadingHTTPServer):
    trial: _Served
    daemon_threads = True
    block_on_close = False  # A request that the model is busy with ends with the model's server.

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.places = threading.BoundedSemaphore(_MAX_REQUESTS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that was closed before its answer came is none; all else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    server: _Server

    @property
    def _trial(self) -> _Served:
        return self.server.trial

    def do_GET(self) -> None:
        if not self._is_asked_by_name():
            return
        if self.path == "/":
            headers = {"content-type": "text/html; charset=utf-8", "content-security-policy": self._trial.page.policy}
            self._answer(200, self._trial.page.html.encode(), headers)
        elif self.path == _DESCRIPTION:
            self._hand_on("GET", b"")
        else:
            self._refuse(404, "there is a page at / and a description at /openapi.json")

    def do_POST(self) -> None:
        if not self._is_asked_by_name():
            return
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > _MAX_BODY:
            self._refuse(411, "a body needs a content-length, of at most 1 GiB")
        elif self.path != self._trial.path:
            self._refuse(404, f"the page asks {self._trial.path}")
        # A page of another host can send no other than these without asking first (Fetch, "CORS-safelisted").
        elif self.headers.get("content-type", "").partition(";")[0].strip().lower() not in _TYPES:
            self._refuse(415, f"content-type is not one of {', '.join(_TYPES)}")
        else:
            with self.server.places:
                self._hand_on("POST", self._body(int(length)))

    def _body(self, length: int) -> bytes:
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError("the page was closed while it sent this")
        return body

    def _is_asked_by_name(self) -> bool:
        known = not self._trial.hosts or self.headers.get("host", "") in self._trial.hosts
        if not known:
            self._refuse(421, f"the page is at {' or '.join(sorted(self._trial.hosts))}")
        return known

    def _hand_on(self, method: str, body: bytes) -> None:
        connection = http.client.HTTPConnection(*self._trial.model, timeout=_SECONDS)
        headers = {name: self.headers[name] for name in _REQUEST_HEADERS if name in self.headers}
        try:
            connection.request(method, self.path, body if method == "POST" else None, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._refuse(502, f"the model's server does not answer: {error}")
            return
        finally:
            connection.close()
        self._answer(
            answer.status, content, {name: answer.headers[name] for name in _ANSWER_HEADERS if name in answer.headers}
        )

    def _refuse(self, status: int, text: str) -> None:
        # What was not read of a body would be taken for the next request.
        self.close_connection = True
        self._answer(status, f"{text}\n".encode(), {"content-type": "text/plain; charset=utf-8"})

    def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, **_QUIET, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """The model's server has a log."""

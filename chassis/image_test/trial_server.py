"""Serves the page on which a person tries a model, and hands what it asks to the model's server.

`IMAGE.serve` alone has it: no byte of it is in an image, whose server stays as it is in production. The page and the
requests share one origin, so the model's server needs no headers for pages of other hosts.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chassis.image_test.trial_page import Page

_DESCRIPTION = "/openapi.json"
_REQUEST_HEADERS = ("content-type", "inference-header-content-length")
_ANSWER_HEADERS = ("content-type", "inference-header-content-length")
_TYPES = ("application/json", "application/octet-stream")
_MAX_BODY = 1 << 30
_SECONDS = 3600.0
"""How long a request may take: whoever waits for it can close the page."""
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
    """
    server = _Server(address, _Handler)
    server.trial = _Served(page, path, (_reached(address[0]), model_port), _names(address[0], server.server_port))
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield f"http://{_written(address[0])}:{server.server_address[1]}/"
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


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _reached(host: str) -> str:
    """Where a server that listens on `host` is reached from this machine."""
    address = _ip_address(host)
    if address is None or not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


def _names(host: str, port: int) -> frozenset[str]:
    """What a browser may call a server on loopback; empty for any name.

    A page of another host could make its own name lead here, and would be of the same origin.
    """
    address = _ip_address(host)
    if host != "localhost" and (address is None or not address.is_loopback):
        return frozenset()
    return frozenset(f"{name}:{port}" for name in ("localhost", "127.0.0.1", _written(host)))


def _written(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Server(ThreadingHTTPServer):
    trial: _Served
    daemon_threads = True
    block_on_close = False  # A request that the model is busy with ends with the model's server.

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)


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
            self._hand_on("POST", self.rfile.read(int(length)))

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

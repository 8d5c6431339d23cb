"""What the server of the page hands on, and what becomes of pages that are closed."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chassis.image_test.listening import LOOPBACK, PortError
from chassis.image_test.trial_page import Page
from chassis.image_test.trial_server import trial_server

PATH = "/v1/models/m:predict"
PAGE = Page("<title>m</title>", "default-src 'none'")
AT_A_TIME = 4
SECONDS = 20.0


class Model(ThreadingHTTPServer):
    """Answers once as many as `together` ask at the same time."""

    daemon_threads = True

    def __init__(self, together: int) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.together = threading.Barrier(together)
        self.lock = threading.Lock()
        self.came = threading.Event()
        self.asked = self.now = self.most = 0


class _Handler(BaseHTTPRequestHandler):
    server: Model

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        model = self.server
        with model.lock:
            model.asked += 1
            model.now += 1
            model.most = max(model.most, model.now)
        model.came.set()
        model.together.wait(SECONDS)
        with model.lock:
            model.now -= 1
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def tried(together: int) -> Iterator[tuple[Model, int]]:
    """A model, and the port of its page."""
    with Model(together) as model:
        thread = threading.Thread(target=model.serve_forever, args=(0.05,))
        thread.start()
        try:
            with trial_server(PAGE, PATH, (LOOPBACK, 0), model.server_port) as url:
                yield model, int(url.rstrip("/").rpartition(":")[2])
        finally:
            model.shutdown()
            thread.join()


def ask(port: int) -> int:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=SECONDS)
    try:
        connection.request("POST", PATH, b"{}", {"content-type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def begun(port: int, length: int) -> socket.socket:
    """A request with two bytes of `length`."""
    connection = socket.create_connection((LOOPBACK, port))
    head = f"POST {PATH} HTTP/1.1\r\nhost: {LOOPBACK}:{port}\r\ncontent-type: application/json\r\n"
    connection.sendall(f"{head}content-length: {length}\r\n\r\n{{}}".encode())
    return connection


def test_few_requests_are_in_memory_at_a_time() -> None:
    with tried(AT_A_TIME) as (model, port), ThreadPoolExecutor(5 * AT_A_TIME) as threads:
        assert {*threads.map(ask, [port] * (5 * AT_A_TIME))} == {200}
        assert model.most == AT_A_TIME


def test_a_page_that_is_closed_writes_nothing_and_others_are_served(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Semaphore(0)
    shut = ThreadingHTTPServer.shutdown_request

    def told(server: ThreadingHTTPServer, request: socket.socket) -> None:
        shut(server, request)
        if not isinstance(server, Model):
            ended.release()

    monkeypatch.setattr(ThreadingHTTPServer, "shutdown_request", told)
    with tried(2) as (model, port):
        begun(port, 100).close()
        with begun(port, 2) as connection:
            assert model.came.wait(SECONDS)
            # Closed without a farewell, so that the answer cannot be written.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert ask(port) == 200
        for _ in range(3):
            assert ended.acquire(timeout=SECONDS)
        assert model.asked == 2  # half a request is none
    assert "Traceback" not in capfd.readouterr().err


def test_another_error_is_shown(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.image_test.trial_server._QUIET", None)
    with tried(1) as (_, port), pytest.raises(http.client.RemoteDisconnected):
        ask(port)
    assert "TypeError" in capfd.readouterr().err


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(PortError, match=f"{LOOPBACK}:{port} cannot be listened on: Address already in use"),
            trial_server(PAGE, PATH, (LOOPBACK, port), 1),
        ):
            pass

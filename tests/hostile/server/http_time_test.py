"""Clients that take their time, and more connections than the server has."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.http_client import call, send_raw
from tests.support.running_server import RunningServer, write_model

_HEAD = b"POST /v1/models/tested:predict HTTP/1.1\r\nHost: a\r\n"
_ESTABLISHED = "01"
_TIMES = {
    "CHASSIS_HEAD_TIMEOUT": "1",
    "CHASSIS_TRANSFER_GRACE": "1",
    "CHASSIS_MIN_RATE": "1000",
    "CHASSIS_IDLE_TIMEOUT": "2",
}


def large(content: bytes) -> str:
    """Answers with as many characters as it is asked for."""
    return "x" * int(content)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(write_model(tmp_path_factory.mktemp("model"), large), _TIMES) as running:
        running.wait_health("SERVING")
        yield running


def _dribble(port: int, begin: bytes, piece: bytes, most: float = 15.0) -> tuple[float, bytes]:
    """Sends `piece` ten times a second after `begin`; how long the server took that, and what it said."""
    with socket.create_connection(("127.0.0.1", port), timeout=0.1) as connection:
        started = time.monotonic()
        received = b""
        connection.sendall(begin)
        while time.monotonic() - started < most:
            try:
                part = connection.recv(65536)
                if not part:
                    break
                received += part
            except TimeoutError:
                with contextlib.suppress(OSError):
                    connection.sendall(piece)
            except OSError:
                break
        return time.monotonic() - started, received


_SLOW = [
    (b"GET /v2 HTTP/1.1\r\n", b"x: y\r\n"),
    (b"GET /v", b"2"),
    (_HEAD + b"Content-Length: 100000\r\n\r\n", b"x"),
    (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"extension"),
]


def test_a_request_that_comes_too_slowly_is_408(server: RunningServer) -> None:
    with ThreadPoolExecutor(len(_SLOW)) as clients:
        ended = list(clients.map(lambda sent: _dribble(server.http_port, *sent), _SLOW))
    for sent, (seconds, received) in zip(_SLOW, ended, strict=True):
        assert received.startswith(b"HTTP/1.1 408 "), sent
        assert seconds < 10, sent


def test_a_connection_without_a_request_is_closed(server: RunningServer) -> None:
    request = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    pieces = (b"", b"\r\n")
    with ThreadPoolExecutor(len(pieces)) as clients:
        ended = list(clients.map(lambda piece: _dribble(server.http_port, request, piece), pieces))
    for piece, (seconds, received) in zip(pieces, ended, strict=True):
        assert received.startswith(b"HTTP/1.1 200 "), piece
        assert 1.5 < seconds < 10, piece


def test_an_answer_that_is_not_read_is_let_go(server: RunningServer) -> None:
    body = b'{"instances":["20000000"]}'
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=20) as connection:
        connection.sendall(_HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        until = time.monotonic() + 20
        while _is_held(connection):
            assert time.monotonic() < until
            threading.Event().wait(0.05)
        received = 0
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(1 << 20):
                received += len(part)
        assert received < 20_000_000


def _is_held(connection: socket.socket) -> bool:
    """Whether the server still holds its end of `connection`; the kernel goes on sending what it was given."""
    theirs, own = (f":{address[1]:04X}" for address in (connection.getpeername(), connection.getsockname()))
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return any(line[1].endswith(theirs) and line[2].endswith(own) and line[3] == _ESTABLISHED for line in lines)


def test_a_steady_client_is_served_however_long_it_takes(server: RunningServer) -> None:
    size = 12_000
    body = b'{"instances":["3"],"note":"' + b"x" * size + b'"}'
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=20) as connection:
        connection.sendall(_HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
        started = time.monotonic()
        for start in range(0, len(body), 500):
            connection.sendall(body[start : start + 500])
            threading.Event().wait(0.15)  # the rate is what is tested
        assert time.monotonic() - started > 3
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_where_connections_run_out_that_is_logged_and_health_still_answers(tmp_path: Path) -> None:
    settings = {"CHASSIS_MAX_CONNECTIONS": "20", "CHASSIS_HEAD_TIMEOUT": "60"}
    with RunningServer(write_model(tmp_path, large), settings) as server, contextlib.ExitStack() as stack:
        server.wait_health("SERVING")
        for _ in range(20):
            held = stack.enter_context(socket.create_connection(("127.0.0.1", server.http_port), timeout=10))
            held.sendall(b"GET /v2")
        deadline = time.monotonic() + 20
        while call(server.http_port, "GET", "/v2").status != 503:
            assert time.monotonic() < deadline
        assert call(server.http_port, "GET", "/v2/health/ready").status == 200
        assert call(server.http_port, "GET", "/v2/health/live").headers["connection"] == "close"
        refused = call(server.http_port, "POST", "/v1/models/tested:predict", {"instances": ["1"]})
        assert (refused.status, "20 connections are open" in refused.json()["error"]) == (503, True)
        assert "retry-after" in refused.headers
        server.wait_event("connections have run out")
        # Beyond what is spare a connection is closed at once.
        more = [stack.enter_context(socket.create_connection(("127.0.0.1", server.http_port))) for _ in range(60)]
        deadline = time.monotonic() + 20
        while sum(map(_is_closed, more)) < 20:
            assert time.monotonic() < deadline
            select.select(more, [], [], 0.2)


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_an_idle_connection_makes_room_for_another(tmp_path: Path) -> None:
    with (
        RunningServer(write_model(tmp_path, large), {"CHASSIS_MAX_CONNECTIONS": "8"}) as server,
        contextlib.ExitStack() as stack,
    ):
        server.wait_health("SERVING")
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", server.http_port))) for _ in range(8)]
        request = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n"
        for connection in idle:
            connection.sendall(request)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        threading.Event().wait(1.2)  # a connection that has just been used is left alone
        assert send_raw(server.http_port, b"GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").startswith(
            b"HTTP/1.1 200 "
        )

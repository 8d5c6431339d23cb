"""Requests that come before those ahead of them are answered, and heads without end: bounded in memory and in turns."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.server.memory import Memory
from tests.support.http_client import call
from tests.support.inference_requests import PREDICT
from tests.support.running_server import RunningServer, write_model

_MIB = 1 << 20
_BUDGET = 32 * _MIB
_HEALTH = "/v2/health/live"
_SECONDS = 30.0
_BODY = b'{"instances":["0.02"]}'
_SLOW = b"POST /v1/models/tested:predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_SMALL = b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n"


_LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def patient(content: bytes) -> str:
    """Answers after a while."""
    import time

    time.sleep(float(content))
    return "done"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    settings = {"CHASSIS_MAX_INFLIGHT_BYTES": str(_BUDGET), "CHASSIS_HEAD_TIMEOUT": "1"}
    with RunningServer(write_model(tmp_path, patient), settings) as running:
        running.wait_health("SERVING")
        assert call(running.http_port, "POST", PREDICT, {"instances": ["0"]}).status == 200
        yield running
        assert running.process.poll() is None
        # All that was counted is given back, once what the callers asked for has had its turn.
        body = b'{"instances":["0"],"note":"%b"}' % (b"x" * 8 * _MIB)
        until, waiting = time.monotonic() + 3 * _SECONDS, threading.Event()
        while call(running.http_port, "POST", PREDICT, body, timeout=_SECONDS).status != 200:
            assert time.monotonic() < until
            waiting.wait(0.5)


def _flood(server: RunningServer, stack: contextlib.ExitStack, content: bytes) -> None:
    """Sends what the kernel takes on a connection that stays open, and reads nothing."""
    connection = stack.enter_context(socket.socket())
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MIB)
    connection.connect(("127.0.0.1", server.http_port))
    connection.setblocking(False)
    with contextlib.suppress(OSError):
        connection.send(content)


def _processor_seconds(server: RunningServer) -> float:
    """Of the server's own process: other work on the machine does not count."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("first", [_SLOW, _SMALL], ids=["slow", "small"])
def test_requests_that_wait_for_others_answers_are_bounded_and_health_is_answered(
    server: RunningServer, first: bytes
) -> None:
    flood = first + _SMALL * 12_000
    begin = _processor_seconds(server)
    with Memory(server) as memory, contextlib.ExitStack() as stack:
        for _ in range(300):
            _flood(server, stack, flood)
        assert call(server.http_port, "GET", _HEALTH, timeout=3 * _SECONDS).status == 200
        assert _processor_seconds(server) - begin < 6
        assert memory.peak < 2 * _BUDGET


def test_heads_that_are_half_there_are_bounded(server: RunningServer) -> None:
    many = b"".join(b"h%d: %b\r\n" % (number, b"z" * 310) for number in range(190))
    with Memory(server) as memory, contextlib.ExitStack() as stack:
        for index in range(800):
            _flood(server, stack, b"GET / HTTP/1.1\r\nHost: a\r\n" + (many if index % 2 else b"x: " + b"y" * 60_000))
        assert call(server.http_port, "GET", _HEALTH, timeout=_SECONDS).status == 200
        assert memory.peak < 1.5 * _BUDGET
    server.wait_event("requests are refused for want of memory")


def test_many_requests_at_once_are_answered_in_their_order(server: RunningServer) -> None:
    names = [b"n%d" % number for number in range(5000)]
    asked = b"".join(b"GET /none HTTP/1.1\r\nHost: a\r\nX-Request-Id: %b\r\n\r\n" % name for name in names)
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=_SECONDS) as connection:
        connection.sendall(_SLOW + asked + _LAST)
        said = b""
        while data := connection.recv(1 << 16):
            said += data
    found = [answer.partition(b"x-request-id: ")[2].partition(b"\r\n")[0] for answer in said.split(b"HTTP/1.1 ")[2:-1]]
    assert found == names


def test_a_head_that_the_server_does_not_read_yet_is_not_late(server: RunningServer) -> None:
    """The caller sent it in time; it waits for a slow model."""
    slow = _SLOW.replace(b'"0.02"', b'"3.00"')
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=_SECONDS) as connection:
        connection.sendall(slow + _SMALL * 1000 + _LAST)
        said = b""
        while data := connection.recv(1 << 16):
            said += data
    assert b"HTTP/1.1 408" not in said
    assert said.count(b"HTTP/1.1 404") == 1001

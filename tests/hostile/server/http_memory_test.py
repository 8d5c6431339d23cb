"""Bodies and answers that want more memory than there is: refused, and what they took is given back."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.hostile.server.memory import Memory
from tests.support.http_client import call
from tests.support.inference_requests import INFER, PREDICT
from tests.support.running_server import RunningServer, write_model

_MIB = 1 << 20
_BUDGET = 64 * _MIB
_BODY = 24 * _MIB
_SETTINGS = {
    "CHASSIS_MAX_INFLIGHT_BYTES": str(_BUDGET),
    "CHASSIS_MAX_REQUEST_BYTES": str(_BODY),
    "CHASSIS_TRANSFER_GRACE": "60",
}
_HEAD = b"POST /v1/models/tested:predict HTTP/1.1\r\nHost: a\r\n"


def large(content: bytes) -> str:
    """Answers with as many characters as it is asked for, which few are."""
    return "x" * int(content) if content.isdigit() and len(content) < 9 else "no"


# The C library keeps freed blocks until the server trims them, once a second: how many there are at a peak is chance.
# With this it gives large ones back at once, and what is seen is what the server holds.
_EXACT = {"MALLOC_MMAP_THRESHOLD_": "131072"}


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """Of the server, beside those that all have."""
    return dict(getattr(request, "param", {}))


@pytest.fixture
def server(tmp_path: Path, settings: dict[str, str]) -> Iterator[RunningServer]:
    with RunningServer(write_model(tmp_path, large), _SETTINGS | settings) as running:
        running.wait_health("SERVING")
        assert call(running.http_port, "POST", PREDICT, {"instances": ["1"]}).status == 200
        yield running
        assert running.process.poll() is None
        assert call(running.http_port, "POST", PREDICT, {"instances": ["1"]}).status == 200


def _send(port: int, content: bytes) -> tuple[socket.socket, bytes]:
    """Sends what the server takes; the open connection, and an answer that came before all was sent."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    with contextlib.suppress(OSError):
        connection.sendall(content)
        connection.settimeout(0.5)
        return connection, connection.recv(4096)
    return connection, b""


@pytest.mark.parametrize("settings", [{}, _EXACT], indirect=True, ids=["usual", "exact"])
def test_half_sent_bodies_take_no_more_than_their_budget_and_give_it_back(
    server: RunningServer, settings: dict[str, str]
) -> None:
    part = _HEAD + b"Content-Length: %d\r\n\r\n" % _BODY + bytes(_BODY - 1)
    with Memory(server) as memory:
        with ThreadPoolExecutor(8) as pool:
            sent = list(pool.map(lambda _: _send(server.http_port, part), range(8)))
        assert not settings or memory.peak < _BUDGET + 16 * _MIB
        assert sum(answer.startswith(b"HTTP/1.1 503 ") for _, answer in sent) >= 5
        assert call(server.http_port, "GET", "/v2/health/ready").status == 200
        for connection, _ in sent:
            connection.close()
        assert memory.falls_below(16 * _MIB)
    server.wait_event("requests are refused for want of memory")


def test_chunks_of_two_bytes_take_what_their_content_does(server: RunningServer) -> None:
    content = b'{"instances":["1"],"note":"' + b"x" * 4_000_000 + b'" }'
    chunks = b"".join(b"2\r\n%s\r\n" % content[at : at + 2] for at in range(0, len(content), 2))
    head = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    with Memory(server) as memory:
        connection = socket.create_connection(("127.0.0.1", server.http_port), timeout=60)
        connection.sendall(head + chunks + b"0\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        connection.close()
        assert memory.peak < 3 * len(content)


@pytest.mark.parametrize(
    "line", [b"0\r\n" + b"x: " + b"y" * 1000 + b"\r\n", b"0\r\nx: " + b"y" * 1000, b"5;" + b"e" * 1000]
)
def test_endless_trailers_and_extensions_are_cut_off(server: RunningServer, line: bytes) -> None:
    more = line.partition(b"\r\n")[2] or line[2:]
    with Memory(server) as memory:
        connection, answer = _send(
            server.http_port, _HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + line + more * 60_000
        )
        connection.close()
        assert answer.startswith(b"HTTP/1.1 431 ") or not answer
        assert memory.peak < 16 * _MIB


@pytest.mark.parametrize(
    ("opening", "element", "end"),
    [
        (b'{"instances":[', b"{},", b"0]}"),
        (b'{"instances":[', b"[],", b"0]}"),
        (b'{"instances":[', b'{"":0},', b"0]}"),
        (b'{"instances":[', b"0,", b"0]}"),
        (b'{"instances":[', b'"ab",', b"0]}"),
        (b'{"instances":[[', b"0.5,", b"0]]}"),
        (b'{"instances":["', b"\\ud83d\\ude00", b'"]}'),
        (b'{"instances":["\xf0\x9f\x98\x80', b"xxxxxxxx", b'"]}'),
    ],
)
def test_json_that_grows_when_it_is_read_is_refused(
    server: RunningServer, opening: bytes, element: bytes, end: bytes
) -> None:
    body = opening + element * ((20 * _MIB) // len(element)) + end
    with Memory(server) as memory:
        answer = call(server.http_port, "POST", PREDICT, body, timeout=60)
        assert answer.status == 413
        assert "CHASSIS_MAX_INFLIGHT_BYTES" in answer.json()["error"]
        assert memory.peak < _BUDGET + 16 * _MIB


@pytest.mark.parametrize("settings", [_EXACT], indirect=True, ids=["exact"])
@pytest.mark.parametrize("path", [PREDICT, INFER])
def test_a_body_that_inflates_beyond_the_limit_is_413_and_health_answers_meanwhile(
    server: RunningServer, path: str
) -> None:
    bomb = gzip.compress(bytes(100 * _MIB), 1)
    with Memory(server) as memory, ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(call, server.http_port, "POST", path, bomb, {"content-encoding": "gzip"}, 60.0)
            for _ in range(8)
        ]
        assert call(server.http_port, "GET", "/v2/health/live", timeout=5).status == 200
        assert {answer.result().status for answer in asked} <= {413, 503}
        assert memory.peak < _BUDGET + 24 * _MIB


def test_answers_that_nobody_reads_take_no_more_than_their_budget(server: RunningServer) -> None:
    body = json.dumps({"instances": [str(15 * _MIB)]}).encode()
    request = _HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    connections = []
    with Memory(server) as memory:
        for _ in range(24):
            connection = socket.create_connection(("127.0.0.1", server.http_port), timeout=20)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(request)
            connections.append((connection, connection.recv(16)))
        # Beside those that wait there is one on its way: in the model's process, and between the two.
        assert memory.peak < _BUDGET + 10 * 15 * _MIB
        assert sum(answer.startswith(b"HTTP/1.1 503") for _, answer in connections) >= 16
        for connection, _ in connections:
            connection.close()
        assert memory.falls_below(32 * _MIB)


def test_callers_who_leave_give_back_what_they_took(tmp_path: Path) -> None:
    begun, over = tmp_path / "begun", tmp_path / "over"

    def busy(content: bytes) -> int:
        begun.touch()
        while not over.exists():
            time.sleep(0.01)
        return len(content)

    with RunningServer(write_model(tmp_path / "model", busy), _SETTINGS) as server:
        server.wait_health("SERVING")
        with Memory(server) as memory, ThreadPoolExecutor(1) as pool:
            first = pool.submit(call, server.http_port, "POST", PREDICT, {"instances": ["a"]})
            deadline = time.monotonic() + 20
            while not begun.exists():
                assert time.monotonic() < deadline
                server.status()
            body = json.dumps({"instances": ["x" * 6 * _MIB]}).encode()
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", server.http_port), timeout=10) as connection:
                    connection.sendall(_HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                server.status()
            assert not first.done()
            assert memory.falls_below(24 * _MIB, timeout=4)
            assert memory.peak < _BUDGET + 16 * _MIB
            over.touch()
            assert first.result().status == 200

"""Requests that servers and proxies read differently, offers that are not taken, and heads that are too long."""

from __future__ import annotations

import http.client
import json
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.http_client import call, send_raw
from tests.support.running_server import RunningServer, write_model

_PREDICT = "POST /v1/models/tested:predict HTTP/1.1\r\n"
_BODY = '{"instances":["abc"]}'
_OFFERS = (
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "uPGRADE: TLS/1.0, anything/9\r\nconnection: UPGRADE\r\n",
)


_NO_HOSTS = (
    "a b",
    "a/b",
    "a?b",
    "a#b",
    "user@a",
    "a:b",
    "a:1:2",
    "a,b",
    "[::1",
    "::1",
    "a:999999",
    "http://a",
    "\\a",
    "<a>",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(write_model(tmp_path_factory.mktemp("model"), len)) as running:
        running.wait_health("SERVING")
        yield running


def _answers(received: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", received)]


def _ended(request: str) -> bytes:
    """`request` and one after which the server closes."""
    return request.encode() + b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("offer", _OFFERS)
@pytest.mark.parametrize(
    ("request_line", "body"),
    [
        (_PREDICT, f"Content-Length: {len(_BODY)}\r\n\r\n{_BODY}"),
        (_PREDICT, f"Transfer-Encoding: chunked\r\n\r\n{len(_BODY):x}\r\n{_BODY}\r\n0\r\n\r\n"),
        ("GET /v2/health/ready HTTP/1.1\r\n", "\r\n"),
        ("GET /nothing HTTP/1.1\r\n", "\r\n"),
    ],
)
def test_an_offer_to_upgrade_is_not_taken_and_the_request_answered_once(
    server: RunningServer, offer: str, request_line: str, body: str
) -> None:
    request = f"{request_line}Host: a\r\n{offer}{body}"
    expected = 404 if "nothing" in request_line else 200
    received = send_raw(server.http_port, _ended(request * 3))
    assert _answers(received) == [expected] * 3 + [200]
    assert received.count(b'{"predictions":[3]}') == (3 if body != "\r\n" else 0)


def test_an_offer_is_not_taken_wherever_it_is_cut(server: RunningServer) -> None:
    request = _ended(f"{_PREDICT}Host: a\r\n{_OFFERS[0]}Content-Length: {len(_BODY)}\r\n\r\n{_BODY}")
    at = request.index(b"\r\nUpgrade")
    for cut in range(at, at + 14):
        with socket.create_connection(("127.0.0.1", server.http_port), timeout=10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(request[:cut])
            call(server.http_port, "GET", "/v2/health/live")  # by then the first part has been read
            connection.sendall(request[cut:])
            received = b"".join(iter(lambda sock=connection: sock.recv(65536), b""))
        assert _answers(received) == [200, 200], cut
        assert b'{"predictions":[3]}' in received


def test_a_body_may_say_upgrade(server: RunningServer) -> None:
    content = b"a\nUpgrade: b\nupgrad"
    tensor = {"name": "input", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(content) + 4}}
    document = json.dumps({"inputs": [tensor]}).encode()
    body = document + struct.pack("<I", len(content)) + content
    head = "POST /v2/models/tested/infer HTTP/1.1\r\nHost: a\r\n"
    head += f"Inference-Header-Content-Length: {len(document)}\r\nContent-Length: {len(body)}\r\n\r\n"
    received = send_raw(server.http_port, head.encode() + body + _ended(""))
    assert _answers(received) == [200, 200]
    assert b'"data":["%d"]' % len(content) in received


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /v2 HTTP/1.1\r\n\r\n", 400),
        ("GET /v2 HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET /v2 HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", 400),
        ("GET /v2 HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (
            f"POST /v1/models/tested:predict HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n{_BODY}\r\n0\r\n\r\n",
            400,
        ),
        (f"{_PREDICT}Host: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (f"{_PREDICT}Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (f"{_PREDICT}Host: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        ("CONNECT example:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ("GET /v2 HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET /v2 HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        ("GET /v2 HTTP/1.1\nHost: a\n\n", 400),
        *((f"GET /v2 HTTP/1.1\r\nHost: {host}\r\n\r\n", 400) for host in _NO_HOSTS),
    ],
)
def test_what_others_might_read_otherwise_is_refused_and_the_connection_ends(
    server: RunningServer, head: str, status: int
) -> None:
    received = send_raw(server.http_port, head.encode() + b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert _answers(received) == [status]
    assert b"connection: close" in received


def test_a_page_whose_name_was_made_to_point_here_is_refused(tmp_path: Path) -> None:
    """DNS rebinding: the page's requests have its own name as Host."""
    with RunningServer(write_model(tmp_path, len), {"CHASSIS_HOSTS": "models.example, localhost"}) as running:
        running.wait_health("SERVING")
        for host, status in (
            ("models.example", 200),
            ("MODELS.example.:8443", 200),
            ("localhost:1", 200),
            ("127.0.0.1:8080", 200),
            ("[::1]:8080", 200),
            ("evil.example", 400),
            ("models.example.evil.example", 400),
            ("127.0.0.1.evil.example", 400),
            ("localhost.evil.example:80", 400),
            ("127.0.0.1.", 200),
            ("2130706433", 400),
        ):
            request = f"{_PREDICT}Host: {host}\r\nConnection: close\r\nContent-Length: {len(_BODY)}\r\n\r\n{_BODY}"
            received = send_raw(running.http_port, request.encode())
            assert _answers(received) == [status], host
            assert (b"predictions" in received) == (status == 200)


def test_trailers_are_dropped(server: RunningServer) -> None:
    head = f"{_PREDICT}Host: a\r\nX-Request-Id: mine\r\nTransfer-Encoding: chunked\r\nTrailer: X-Request-Id\r\n\r\n"
    trailers = "X-Request-Id: theirs\r\nContent-Encoding: br\r\nInference-Header-Content-Length: 2\r\n\r\n"
    received = send_raw(server.http_port, _ended(f"{head}{len(_BODY):x}\r\n{_BODY}\r\n0\r\n{trailers}"))
    assert _answers(received) == [200, 200]
    assert b"x-request-id: mine" in received
    assert b"theirs" not in received


@pytest.mark.parametrize("piece", [1 << 20, 1000])
@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /v2?" + b"a" * 100_000, 414),
        (b"GET /v2 HTTP/1.1\r\nHost: a\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /v2 HTTP/1.1\r\nHost: a\r\nx: " + b"y" * 70_000, 431),
        (b"GET /v2 HTTP/1.1\r\n" + b"a: b\r\n" * 201 + b"\r\n", 431),
        (b"GET /v2 HTTP/1.1\r\nHost: a\r\n" + b"".join(b"h%d: %s\r\n" % (n, b"x" * 900) for n in range(100)), 431),
        (b"GET /v2 HTTP/1.1\r\nHost: a\r\nx: " + b"y" * 60_000 + b"\r\n\r\n", 200),
    ],
)
def test_a_head_is_refused_alike_at_once_and_in_pieces(
    server: RunningServer, content: bytes, status: int, piece: int
) -> None:
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for start in range(0, len(content), piece):
                connection.sendall(content[start : start + piece])
        except OSError:
            pass
        assert connection.recv(65536).startswith(b"HTTP/1.1 %d " % status)


def test_http_1_0_keeps_a_connection_open_when_asked(server: RunningServer) -> None:
    request = "POST /v1/models/tested:predict HTTP/1.0\r\nConnection: Keep-Alive\r\n"
    request += f"Content-Length: {len(_BODY)}\r\n\r\n{_BODY}"
    received = send_raw(server.http_port, _ended(request * 2))
    assert _answers(received) == [200, 200, 200]
    assert received.count(b"connection: keep-alive") == 2
    # Without the wish it is closed.
    assert _answers(send_raw(server.http_port, b"GET /v2/health/live HTTP/1.0\r\n\r\n" * 2)) == [200]


def test_options_head_and_another_method(server: RunningServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10)
    for method, path, status, allowed in (
        ("OPTIONS", "/v1/models/tested:predict", 204, "OPTIONS, POST"),
        ("OPTIONS", "/v2", 204, "GET, HEAD, OPTIONS"),
        ("OPTIONS", "*", 204, "GET, HEAD, OPTIONS, POST"),
        ("HEAD", "/v2", 200, None),
        ("DELETE", "/v2", 405, "GET, HEAD, OPTIONS"),
    ):
        connection.request(method, path)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("allow")) == (status, allowed)
        assert bool(answer.read()) == (status == 405)
    connection.close()

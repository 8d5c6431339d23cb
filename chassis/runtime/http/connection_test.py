"""Tests of a running server: bytes that no client sends, and connections that end."""

from __future__ import annotations

import http.client
import json
import random
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.http_client import call, send_raw
from tests.support.inference_requests import INFER, PREDICT, TENSOR, infer
from tests.support.length_model import serving_lengths
from tests.support.marking_model import write_marking_model
from tests.support.running_server import RunningServer, write_model


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving_lengths(tmp_path_factory.mktemp("model")) as running:
        yield running


def test_a_body_above_the_limit_is_413_with_length_and_without(server: RunningServer) -> None:
    answer = call(server.http_port, "POST", INFER, b"x" * 100_001)
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    head = b"POST /v2/models/tested/infer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    received = send_raw(server.http_port, head + b"10000\r\n" + b"x" * 65536 + b"\r\n10000\r\n" + b"x" * 65536)
    assert received.startswith(b"HTTP/1.1 413 ")


def test_chunks_and_pipelined_requests_are_answered_in_order(server: RunningServer) -> None:
    def request(content: str) -> bytes:
        body = json.dumps({"instances": [content]}).encode()
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:5], body[5:]))
        return (
            b"POST /v1/models/tested:predict HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
            + chunks
            + b"0\r\n\r\n"
        )

    last = b"GET /v2/health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    received = send_raw(server.http_port, request("pause") + b"".join(request("x" * n) for n in range(40)) + last)
    assert received.count(b"HTTP/1.1 200 OK") == 42
    found = [int(part.split(b",")[0]) for part in received.split(b'"length":')[1:]]
    assert found == [5, *range(40)]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"HELLO\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % number for number in range(300)) + b"\r\n", 431),
        (b"GET /%ff HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
)
def test_what_is_no_http_is_refused_and_the_connection_closed(
    server: RunningServer, content: bytes, status: int
) -> None:
    assert send_raw(server.http_port, content).startswith(b"HTTP/1.1 %d " % status)
    assert call(server.http_port, "GET", "/v2/health/live").status == 200


def test_malformed_requests_leave_it_serving(server: RunningServer) -> None:
    """Well-formed requests with bytes changed at random, ten on a connection: an answer or a closed connection."""
    chosen = random.Random(4)
    before = len(server.events)
    body = json.dumps({"inputs": [TENSOR]}).encode()
    good = b"POST /v2/models/tested/infer HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    for _ in range(300):
        content = bytearray(good * 10)
        for _ in range(chosen.randint(1, 8)):
            content[chosen.randrange(len(content))] = chosen.randrange(256)
        received = send_raw(server.http_port, bytes(content), timeout=0.02)
        assert not re.search(rb"HTTP/1.1 5(?!01|05)", received)
        assert b"Traceback" not in received
    assert infer(server, "a").status == 200
    assert not [event for event in server.events[before:] if event.get("message") == "a request failed"]


def test_a_caller_who_goes_away_is_not_computed(tmp_path: Path) -> None:
    model, marks = write_marking_model(tmp_path)
    with RunningServer(model) as server:
        server.wait_health("SERVING")
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(infer, server, "first")
            until = time.monotonic() + 20
            while not (marks / "first").exists() and time.monotonic() < until:
                server.status()
            with pytest.raises(TimeoutError):
                call(server.http_port, "POST", PREDICT, {"instances": ["late"]}, timeout=0.1)
            assert first.result().status == 200
        assert infer(server, "next").status == 200
    assert sorted(path.name for path in marks.iterdir()) == ["first", "next"]


def test_a_large_answer_to_a_slow_reader_leaves_whole_before_the_end(tmp_path: Path) -> None:
    def large(content: bytes) -> str:
        time.sleep(0.3)
        return "x" * 30_000_000

    with RunningServer(write_model(tmp_path, large), {"CHASSIS_DRAIN_TIMEOUT": "60"}) as server:
        server.wait_health("SERVING")
        connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
        connection.request("POST", PREDICT, b'{"instances": [""]}')
        server.status()
        server.signal(signal.SIGTERM)
        assert len(connection.getresponse().read()) == 30_000_000 + len('{"predictions":[""]}')
        assert server.wait_end() == 0

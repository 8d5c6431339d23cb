"""Attacks on the service's connections: one client, or one without a token, that would have all of them."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.service.callers import SECONDS, archive, ask, ended, job, send, until
from tests.service.service_process import ServiceProcess

ANN, BOB = "ann-has-a-long-token", "bob-has-a-long-token"
TOKENS = f"ann {ANN}\nbob {BOB}\n"
MOST = 16
LIMITS = {"most": MOST}


@contextlib.contextmanager
def _held(service: ServiceProcess, content: bytes, number: int = MOST) -> Iterator[list[socket.socket]]:
    """Connections that send `content` and read nothing."""
    held = []
    for _ in range(number):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(2.0)
        connection.connect(("127.0.0.1", int(service.port)))
        with contextlib.suppress(OSError):
            connection.sendall(content)
        held.append(connection)
    try:
        yield held
    finally:
        for connection in held:
            connection.close()


def _open(connection: socket.socket) -> bool:
    """Whether the service has not ended it."""
    connection.settimeout(0.01)
    try:
        while True:
            if not connection.recv(1 << 16):
                return False
    except TimeoutError:
        return True
    except OSError:
        return False


def _head(path: str, kind: str, token: str = "", length: int = 60000) -> bytes:
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}Content-Type: {kind}\r\n"
        f"Content-Length: {length}\r\n\r\nx"
    ).encode()


HOLDING = {
    "a body that does not come": _head("/api/jobs", "application/json", ANN),
    "an upload that does not come": _head("/api/uploads", "application/x-tar", ANN),
    "answers that nobody reads": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000,
    "a body without a token": _head("/api/jobs", "application/json"),
    "a description that nobody reads": b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000,
}


@pytest.mark.parametrize("tokens", ["", TOKENS], ids=["no tokens", "tokens"])
@pytest.mark.parametrize("attack", list(HOLDING))
def test_nobody_holds_every_connection(tmp_path: Path, attack: str, tokens: str) -> None:
    quota = {"uploads": 2}
    bob = BOB if tokens else ""
    with ServiceProcess(tmp_path / "state", tokens, connections=LIMITS, quota=quota) as service:
        with _held(service, HOLDING[attack]):
            begin = time.monotonic()
            for _ in range(5):
                assert ask(service, "GET", "/healthz").status == 200
                assert ask(service, "GET", "/api/usage", token=bob).status == 200
            if tokens or "upload" not in attack:  # without tokens all have the uploads of one
                assert ended(service, job(service, bob), bob)["status"]["state"] == "succeeded"
            assert time.monotonic() - begin < SECONDS
        assert service.open_files() < 100


@pytest.mark.parametrize("tokens", ["", TOKENS], ids=["no tokens", "tokens"])
def test_who_works_keeps_the_connection_while_another_floods(tmp_path: Path, tokens: str) -> None:
    """An upload of bob's in parts goes through two hundred connections of others."""
    content = archive("cats", 900_000)
    with ServiceProcess(tmp_path / "state", tokens, connections=LIMITS) as service:
        connection = http.client.HTTPConnection("127.0.0.1", int(service.port), timeout=SECONDS)
        connection.putrequest("POST", "/api/uploads")
        for name, value in (
            ("authorization", f"Bearer {BOB}"),
            ("content-type", "application/x-tar"),
            ("content-length", str(len(content))),
        ):
            connection.putheader(name, value)
        connection.endheaders()
        part = len(content) // 5
        for begin in range(0, len(content), part):
            connection.send(content[begin : begin + part])
            for kind in ("a body that does not come", "answers that nobody reads"):
                with _held(service, HOLDING[kind][:20_000], 20):
                    pass
        assert connection.getresponse().status == 201
        connection.close()


def test_a_client_that_holds_the_most_loses_its_own(tmp_path: Path) -> None:
    limits = LIMITS | {"head_seconds": 60.0}
    with (
        ServiceProcess(tmp_path / "state", TOKENS, connections=limits) as service,
        _held(service, _head("/api/jobs", "application/json", BOB), 2) as of_bob,
        _held(service, _head("/api/jobs", "application/json", ANN), 3 * MOST) as of_ann,
    ):
        until(lambda: sum(map(_open, of_ann)) < MOST, 120)
        assert all(map(_open, of_bob))


def test_a_body_of_json_comes_as_fast_as_a_head(tmp_path: Path) -> None:
    limits = {"head_seconds": 1.0}
    with ServiceProcess(tmp_path / "state", connections=limits) as service:
        for path, method in (("/api/jobs", "POST"), ("/api/jobs/x/credentials", "PUT")):
            begin = time.monotonic()
            with _held(service, _head(path, "application/json").replace(b"POST", method.encode()), 1) as (held,):
                held.settimeout(SECONDS)
                assert held.recv(1 << 16).split(b" ")[1] == b"408"
            assert time.monotonic() - begin < 10
        # An upload has its time, which is longer.
        assert send(service).status == 201


def test_a_body_of_json_may_come_in_parts(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state") as service:
        body = json.dumps({"upload_id": send(service).document["upload_id"]}).encode()
        with socket.create_connection(("127.0.0.1", int(service.port)), timeout=SECONDS) as connection:
            head = _head("/api/jobs", "application/json", length=len(body)).removesuffix(b"x")
            for part in (head, *(body[number : number + 1] for number in range(len(body)))):
                connection.sendall(part)
            assert connection.recv(1 << 16).split(b" ")[1] == b"202"

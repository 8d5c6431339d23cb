"""Attacks by webhooks: on what only the service can reach, on its memory, on other clients' calls, and on receivers."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from chassis import verify_webhook
from chassis.build_api.webhook_signature import WebhookSignatureError
from chassis.sdk.client import ChassisClient
from chassis.service.addresses import AddressPolicy
from chassis.service.webhook import Webhooks
from tests.hostile.service.callers import Receiver, ask, ended, job, receiver, state, submit
from tests.publishing.certificates import new_authority
from tests.service.service_process import ServiceProcess

ANN, BOB = "ann-has-a-long-token", "bob-has-a-long-token"
TOKENS = f"ann {ANN}\nbob {BOB}\n"
LOOPBACK = ["127.0.0.0/8"]


@pytest.fixture
def canary() -> Iterator[Receiver]:
    """A server of loopback that nothing may reach."""
    with receiver() as found:
        yield found


NOT_PUBLIC = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST.:{port}/",
    "http://x.localhost:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::7f00:1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:7f00:1::]:{port}/",
    "http://[fe80::1]:{port}/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[ff02::1]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://168.63.129.16/",
    "http://100.100.100.200/latest/meta-data/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://192.0.0.192/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "https://127.0.0.1:{port}/",
]
MALFORMED = [
    "http://public.example/\r\nX-Injected: 1",
    "http://public.example/ HTTP/1.1",
    "http://public.example\t/",
    "http://127.0.0.1\\@public.example/",
    "http://user:password@public.example/",
    "http://public.example/\u0130",
    "http://\u24db\u24de\u24d2alhost/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "http://public.example:99999/",
]


def test_only_public_addresses_are_called(tmp_path: Path, canary: Receiver) -> None:
    port = canary.address.rpartition(":")[2]
    with ServiceProcess(tmp_path / "state", webhook_pauses=[], quota={"uploads": 100}) as service:
        for url in NOT_PUBLIC:
            made = submit(service, webhook=url.format(port=port))
            assert made.status == 400, url
            assert "is not a public address" in made.document["error"], (url, made)
            assert "--webhook_hosts" in made.document["error"], url
        for url in MALFORMED:
            made = submit(service, webhook=url)
            assert (made.status, made.document["error"][:7]) == (400, "webhook"), url
    assert canary.requests == []


def test_redirects_are_not_followed(tmp_path: Path, canary: Receiver) -> None:
    def away(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(307)
        handler.send_header("location", f"http://{canary.address}/")
        handler.end_headers()

    with (
        receiver(away, "127.0.0.2") as first,
        ServiceProcess(tmp_path / "state", webhook_hosts=["127.0.0.2"], webhook_pauses=[]) as service,
    ):
        job(service, webhook=f"http://{first.address}/")
        first.wait()
    assert canary.requests == []


def test_an_endless_answer_takes_no_memory_and_no_longer_than_the_deadline(tmp_path: Path) -> None:
    stop, cut = threading.Event(), threading.Event()

    def endless(handler: BaseHTTPRequestHandler) -> None:
        block = bytes(1 << 20)
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while not stop.is_set():
                handler.wfile.write(block)
        finally:
            cut.set()

    with (
        receiver(endless) as found,
        ServiceProcess(tmp_path / "state", webhook_hosts=LOOPBACK, webhook_pauses=[]) as service,
    ):
        before = service.resident_bytes()
        ended(service, job(service, webhook=f"http://{found.address}/"))
        found.wait()
        assert cut.wait(10), "the answer was read on"
        assert service.resident_bytes() - before < 32 << 20
    stop.set()


@pytest.mark.parametrize("drip", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n", b""], ids=["line", "interim", "silence"])
def test_a_dripping_answer_ends_with_the_deadline(tmp_path: Path, drip: bytes) -> None:
    lasted: list[float] = []
    over = threading.Event()

    def slowly(handler: BaseHTTPRequestHandler) -> None:
        begin = time.monotonic()
        handler.connection.settimeout(0.1)
        try:
            while time.monotonic() - begin < 20:
                handler.wfile.write(drip)
                try:
                    if not handler.connection.recv(1):
                        break
                except TimeoutError:
                    continue
        finally:
            lasted.append(time.monotonic() - begin)
            over.set()

    with (
        receiver(slowly) as found,
        ServiceProcess(tmp_path / "state", webhook_hosts=LOOPBACK, webhook_pauses=[], webhook_seconds=1.0) as service,
    ):
        job(service, webhook=f"http://{found.address}/")
        assert over.wait(15)
    assert lasted[0] < 5


def test_a_receiver_that_does_not_answer_keeps_no_other_waiting(tmp_path: Path) -> None:
    """Ten calls go to hosts that take connections and say nothing, each for as long as a call may take."""
    silent = [socket.create_server((f"127.0.1.{number}", 0)) for number in range(1, 11)]
    options = {"webhook_hosts": LOOPBACK, "queue": 50, "webhook_seconds": 20.0}
    try:
        with receiver() as live, ServiceProcess(tmp_path / "state", TOKENS, **options) as service:
            for server in silent:
                host, port = server.getsockname()
                ended(service, job(service, ANN, webhook=f"http://{host}:{port}/"), ANN)
            begin = time.monotonic()
            ended(service, job(service, BOB, webhook=f"http://{live.address}/"), BOB)
            live.wait()
            assert time.monotonic() - begin < 10
    finally:
        for server in silent:
            server.close()


def test_calls_are_signed_with_the_secret_of_the_client(tmp_path: Path) -> None:
    with receiver() as found, ServiceProcess(tmp_path / "state", TOKENS, webhook_hosts=LOOPBACK) as service:
        job_id = job(service, ANN, webhook=f"http://{found.address}/hook?x=1")
        method, path, headers, body = found.wait()
        assert (method, path, json.loads(body)["job_id"]) == ("POST", "/hook?x=1", job_id)
        ann = ChassisClient(service.url, auth_header=f"Bearer {ANN}").webhook_secret()
        bob = ChassisClient(service.url, auth_header=f"Bearer {BOB}").webhook_secret()
        assert ann != bob
        verify_webhook(ann, headers, body)
        assert headers["webhook-id"] == job_id
        sent = int(headers["webhook-timestamp"])
        forged = [
            (bob, headers, body, sent),
            (ann, headers, body + b" ", sent),
            (ann, headers | {"webhook-id": "0" * 32}, body, sent),
            (ann, headers | {"webhook-timestamp": str(sent + 1)}, body, sent),
            (ann, headers, body, sent + 301),
            (ann, headers, body, sent - 301),
            (ann, {name: value for name, value in headers.items() if name != "webhook-signature"}, body, sent),
        ]
        for secret, given, content, now in forged:
            with pytest.raises(WebhookSignatureError):
                verify_webhook(secret, given, content, now=now)
        assert ask(service, "GET", "/api/webhook_secret").status == 401
        for path in service.state.rglob("*"):
            assert path.is_dir() or ann.encode() not in path.read_bytes(), path


def test_a_webhook_of_before_is_not_called_after_its_day(tmp_path: Path) -> None:
    """A service that is started again calls what it did not reach; not everything that it ever failed to reach."""
    with ServiceProcess(tmp_path / "state", webhook_hosts=LOOPBACK, webhook_pauses=[]) as service:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            address = f"127.0.0.1:{closed.getsockname()[1]}"
        old, new = (job(service, webhook=f"http://{address}/{age}") for age in ("old", "new"))
        ended(service, old)
        ended(service, new)
    connection = sqlite3.connect(service.state / "jobs.sqlite")
    connection.execute("UPDATE jobs SET finished = finished - 100000 WHERE id = ?", (old,))
    connection.execute("UPDATE jobs SET request = replace(request, ?, '127.0.0.1:PORT')", (address,))
    connection.commit()
    with receiver() as found:
        connection.execute("UPDATE jobs SET request = replace(request, '127.0.0.1:PORT', ?)", (found.address,))
        connection.commit()
        connection.close()
        service.start()
        try:
            assert found.wait()[1] == "/new"
            assert state(service, old) == "succeeded"
        finally:
            service.stop(15)
        assert [path for _, path, _, _ in found.requests] == ["/new"]


def test_over_tls_the_receiver_has_to_be_who_the_url_names(tmp_path: Path) -> None:
    """A certificate of another name, and one of an authority that nobody trusts, are sent nothing."""
    certificate, key = new_authority().write(tmp_path)
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))
    cases = [(trusting, "127.0.0.1", True), (trusting, "127.0.0.2", False), (None, "127.0.0.1", False)]
    for tls, host, expected in cases:
        got: list[bytes] = []
        with socket.create_server((host, 0)) as listening:
            thread = threading.Thread(target=_answer_over_tls, args=(listening, server_tls, got), daemon=True)
            thread.start()
            sent = threading.Event()
            webhooks = Webhooks(AddressPolicy.of_list("--webhook_hosts", LOOPBACK), pauses=(), seconds=5, tls=tls)
            webhooks.call(f"https://{host}:{listening.getsockname()[1]}/", {}, sent.set)
            thread.join(10)
            sent.wait(10 if expected else 0)
            webhooks.close()
        assert (sent.is_set(), bool(got)) == (expected, expected), host


def _answer_over_tls(listening: socket.socket, tls: ssl.SSLContext, got: list[bytes]) -> None:
    connection, _ = listening.accept()
    with contextlib.suppress(OSError), connection, tls.wrap_socket(connection, server_side=True) as secured:
        if data := secured.recv(1 << 16):
            got.append(data)
            secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

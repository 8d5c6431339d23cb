"""Attacks on the service's own port: around the token, and by connections that are held."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.hostile.service.callers import SECONDS, ask, ended, job, send, state, submit, until
from tests.service.service_process import ServiceProcess

ANN = "ann-has-a-long-token"
TOKENS = f"ann {ANN}\n"


def _raw(service: ServiceProcess, *parts: bytes) -> bytes:
    """What is answered to bytes, until the service closes the connection."""
    with socket.create_connection(("127.0.0.1", int(service.port)), timeout=SECONDS) as connection:
        for part in parts:
            connection.sendall(part)
        answer = b""
        while data := connection.recv(1 << 16):
            answer += data
        return answer


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


AROUND = [
    b"GET /api/jobs HTTP/1.1\r\nHost: x/healthz?\r\n",
    b"GET /api/jobs HTTP/1.1\r\nHost: x/?\r\n",
    b"GET /api/jobs HTTP/1.1\r\nHost: x/healthz#\r\n",
    b"GET /api/jobs HTTP/1.1\r\nHost: x/openapi.json?a=\r\n",
    b"GET /api/usage HTTP/1.1\r\nHost: localhost/healthz?\r\n",
    b"GET http://x/healthz?/../api/jobs HTTP/1.1\r\nHost: x\r\n",
    b"GET http://x/healthz HTTP/1.1\r\nHost: x\r\n",
    b"GET http://x/api/jobs HTTP/1.1\r\nHost: x\r\n",
    b"GET /healthz/../api/jobs HTTP/1.1\r\nHost: x\r\n",
    b"GET /healthz%2f..%2fapi/jobs HTTP/1.1\r\nHost: x\r\n",
    b"GET //api/jobs HTTP/1.1\r\nHost: x\r\n",
    b"GET /api/jobs/ HTTP/1.1\r\nHost: evil.example\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n",
    b"GET /api/jobs HTTP/1.1\r\nHost: x\r\nX-Forwarded-Host: x/healthz?\r\nX-Original-URL: /healthz\r\n",
    b"GET /api/jobs HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
]


@pytest.mark.parametrize("hosts", [[], ["localhost", "127.0.0.1"]], ids=["any host", "loopback"])
def test_no_request_gets_around_the_token(tmp_path: Path, hosts: list[str]) -> None:
    with ServiceProcess(tmp_path / "state", TOKENS, hosts=hosts) as service:
        job_id = job(service, ANN)
        for head in AROUND:
            answer = _raw(service, head + b"Connection: close\r\n\r\n")
            assert _status(answer) in (400, 401, 404, 421), head
            assert job_id.encode() not in answer, head
            assert b"evil.example" not in answer.lower().split(b"\r\n\r\n")[0], "the Host header comes back"
        for head in (b"Host: a\r\nHost: b\r\n", b"Host: a b\r\n", b""):
            answer = _raw(service, b"GET /healthz HTTP/1.1\r\n" + head + b"Connection: close\r\n\r\n")
            assert _status(answer) in (400, 421), head


def test_a_page_whose_name_was_made_to_point_here_is_refused(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state") as service:
        for host in (
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:80",
            "evil.example/127.0.0.1",
            "",
        ):
            assert ask(service, "GET", "/api/jobs", headers={"host": host}).status in (400, 421), host
            assert ask(service, "GET", "/api/webhook_secret", headers={"host": host}).status in (400, 421), host
        assert (
            ask(service, "GET", "/api/jobs", headers={"origin": "http://evil.example"})
            .headers.keys()
            .isdisjoint({"access-control-allow-origin"})
        )


IDS = ["\ud800", "\0", "a" * 32 + "\n", "A" * 32, "../" * 10, "0" * 31, "0" * 33, "\u0661" * 32, "' OR 1=1 --", ""]


def test_what_is_not_an_id_names_nothing(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state") as service:
        for identifier in IDS:
            assert ask(service, "POST", "/api/jobs", {"upload_id": identifier}).status == 404, identifier
            path = f"/api/jobs/{quote(identifier.encode('utf-8', 'surrogatepass'), safe='')}"
            for method, end, document in (
                ("GET", "", None),
                ("GET", "/logs", None),
                ("GET", "/image", None),
                ("POST", "/cancel", {}),
                ("PUT", "/credentials", {"username": "a", "password": "b"}),
            ):
                assert ask(service, method, path + end, document).status in (404, 405, 307), (identifier, end)
        assert "Traceback" not in (tmp_path / "stderr").read_text()


def test_halves_of_characters_are_refused_where_text_is(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state") as service:
        upload = send(service).document["upload_id"]
        half = "\ud800"
        for request in (
            {"tags": [half]},
            {"registry": half, "repository": "a"},
            {"registry": "r.example", "repository": half},
            {"webhook": f"http://{half}/"},
            {"platforms": [half]},
            {"cross_build": [half]},
            {"credentials": {"username": half, "password": "b"}},
            {"credentials": {"username": "a", "password": half}},
            {"credentials": {"username": "a\r\nX-A: b", "password": "c"}},
            {half: half},
        ):
            answer = ask(service, "POST", "/api/jobs", {"upload_id": upload, **request})
            assert answer.status in (400, 403), (request, answer)
            assert answer.document["error"]
        assert ask(service, "POST", "/api/jobs", {"upload_id": upload}).status == 202
        assert "Traceback" not in (tmp_path / "stderr").read_text()


def test_connections_that_send_nothing_are_ended(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state", connections={"head_seconds": 0.5}) as service:
        for begun in (b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-"):
            begin = time.monotonic()
            assert _raw(service, begun) == b""
            assert time.monotonic() - begin < 5


def test_a_head_that_drips_is_ended(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state", connections={"head_seconds": 1.0}) as service:
        begin = time.monotonic()
        assert _drips(service, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", b"X-A: b\r\n") < 15
        # Nor after an answer that is complete, of whose request a body still comes.
        head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
        assert _drips(service, head, b"x") < 15
        assert time.monotonic() - begin < 30


def _drips(service: ServiceProcess, head: bytes, drop: bytes) -> float:
    """Seconds until the service ends a connection on which something comes again and again."""
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", int(service.port)), timeout=0.1) as connection:
        connection.sendall(head)
        while time.monotonic() - begin < 30:
            try:
                connection.sendall(drop)
                if not connection.recv(1 << 16):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    return time.monotonic() - begin


def test_held_connections_keep_nobody_out(tmp_path: Path) -> None:
    """Three hundred are opened and begin a request; the service has room for fifty."""
    with ServiceProcess(tmp_path / "state", connections={"most": 50, "head_seconds": 60.0}) as service:
        held = [socket.create_connection(("127.0.0.1", int(service.port)), timeout=SECONDS) for _ in range(300)]
        for connection in held:
            try:
                connection.sendall(b"GET /healthz HT")
            except OSError:
                continue
        begin = time.monotonic()
        assert ended(service, job(service))["status"]["state"] == "succeeded"
        assert time.monotonic() - begin < 10
        until(lambda: service.open_files() < 150)
        for connection in held:
            connection.close()


def test_a_body_that_drips_is_refused(tmp_path: Path) -> None:
    # Once it is refused, a body's connection stands for `head_seconds` more.
    limits = {"stalled_seconds": 1.0, "least_rate": 1000, "head_seconds": 2.0}
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: 60000\r\n\r\nx"
    with ServiceProcess(tmp_path / "state", connections=limits, quota={"uploads": 2}) as service:
        for path, kind in ((b"/api/uploads", b"application/x-tar"), (b"/api/jobs", b"application/json")):
            assert _status(_raw(service, head % (path, kind))) == 408
            assert _drips(service, head % (path, kind), b"x") < 15
        # What was held for it is free again.
        assert [send(service).status for _ in range(3)] == [201, 201, 429]
        assert list((service.state / "scratch").iterdir()) == []


def _answered(connection: socket.socket) -> bool:
    """Whether the service has begun to answer, or has ended the connection."""
    connection.setblocking(False)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_an_answer_that_nobody_reads_is_ended(tmp_path: Path) -> None:
    limits = {"stalled_seconds": 1.0, "head_seconds": 1.0}
    with ServiceProcess(tmp_path / "state", connections=limits) as service:
        job_id = job(service)
        ended(service, job_id)
        with (service.state / "logs" / f"{job_id}.log").open("ab") as log:
            log.truncate(64 << 20)
        before = service.open_files()
        request = f"GET /api/jobs/{job_id}/logs HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        held = []
        for _ in range(20):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", int(service.port)))
            connection.sendall(request)
            held.append(connection)
        until(lambda: all(map(_answered, held)))
        until(lambda: service.open_files() <= before + 2)
        assert service.resident_bytes() < 300 << 20
        for connection in held:
            connection.close()


def test_what_the_service_writes_is_its_own(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state") as service:
        ended(service, job(service))
        assert send(service).status == 201
        for path in service.state.rglob("*"):
            # What QuickBuild writes in Bazel's place is left out, and the images that it gives away.
            if path.relative_to(service.state).parts[0] not in ("layouts", "images"):
                assert path.lstat().st_mode & 0o077 == 0, path
                assert not path.is_symlink(), path


def _service(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Starts the service itself, with flags that end it at once."""
    checkout = tmp_path / "checkout"
    checkout.mkdir(exist_ok=True)
    (checkout / "rules").mkdir(exist_ok=True)
    for name in ("bazelw", "MODULE.bazel", "rules/defs.bzl"):
        (checkout / name).touch()
    return subprocess.run(
        [sys.executable, "-m", "chassis.service", "--port=0", *options],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**os.environ, "CHASSIS_WORKSPACE": str(checkout), "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )


def test_the_help_has_every_flag_of_an_operator(tmp_path: Path) -> None:
    done = _service(tmp_path, "--help")
    assert done.returncode == 0
    for flag in (
        "token_file",
        "own_credentials",
        "webhook_hosts",
        "client_minutes",
        "job_minutes",
        "keep_image_bytes",
        "buildable",
    ):
        assert f"--{flag}:" in done.stdout, flag


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--host=0.0.0.0"], "give a token with --token_file"),
        (["--host=::"], "give a token with --token_file"),
        (["--own_credentials=*"], "name the registries"),
        (["--own_credentials=https://registry.example"], "expected registry or registry/path"),
        (["--own_credentials={client}.example"], "expected registry or registry/path"),
        (["--webhook_hosts=10.0.0.1/8"], "expected a host, host:port, an address, or a network"),
        (["--registry_hosts=http://x"], "expected a host, host:port, an address, or a network"),
        (["--token_file=/no/such/file"], "No such file"),
    ],
)
def test_flags_that_would_open_more_than_they_say_are_refused(tmp_path: Path, flags: list[str], message: str) -> None:
    done = _service(tmp_path, f"--state={tmp_path / 'state'}", *flags)
    assert done.returncode == 1, done
    assert message in done.stderr
    assert not (tmp_path / "state").exists()


def test_a_token_file_is_refused_without_showing_a_token(tmp_path: Path) -> None:
    table = {
        "": "no token in it",
        "# nothing\n": "no token in it",
        f"ann {ANN}\n{ANN}\n": "line 2: expected NAME TOKEN",
        f"ann {ANN}\nann {ANN}2\n": "ann is listed twice",
        f"ann {ANN}\nbob {ANN}\n": "has the token of another line",
        "ann short": "expected a token of at least 16",
        f"../ann {ANN}": "expected at most 40 lower-case letters",
        f"ann {ANN} {ANN}": "after the token expected",
        f"ann {ANN} running=0": "after the token expected",
        "ann sha256:12": "expected 64 lower-case hexadecimal digits",
    }
    file = tmp_path / "tokens"
    for text, message in table.items():
        file.write_text(text)
        done = _service(tmp_path, f"--state={tmp_path / 'state'}", f"--token_file={file}")
        assert (done.returncode, message in done.stderr) == (1, True), (text, done.stderr)
        assert ANN not in done.stderr.replace("../ann", "")
    file.write_text(f"ann {ANN}\n")
    file.chmod(0o644)
    done = _service(tmp_path, f"--state={tmp_path / 'state'}", f"--token_file={file}", "--bazelrc=/no/such/file")
    assert "every user of this machine can read" in done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_what_waits_for_nothing_is_cancelled_by_nobody_else(tmp_path: Path) -> None:
    """A form of another site's page cannot send the content types that change something."""
    with ServiceProcess(tmp_path / "state") as service:
        job_id = job(service, name="slow-cats")
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            headers = {"content-type": kind}
            for method, path in (
                ("POST", f"/api/jobs/{job_id}/cancel"),
                ("POST", "/api/jobs"),
                ("POST", "/api/uploads"),
            ):
                assert ask(service, method, path, body=b"{}", headers=headers).status == 415
        assert state(service, job_id) in ("queued", "running")
        assert submit(service).status == 202
        service.open_gate()

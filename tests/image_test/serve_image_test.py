"""IMAGE.serve as a program: what it prints can be used, Ctrl-C ends it well."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.image_test.failing_servers import needed
from tests.support.http_client import call

LIMIT_SECONDS = 120.0


@contextmanager
def serving(folder: Path, *flags: str) -> Iterator[tuple[subprocess.Popen, list[str]]]:
    """The program with its output to a file, once it is ready; and the lines that it wrote until then."""
    output = folder / "output"
    (folder / "tmp").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "chassis.tools.serve_image", f"--image={needed('CHASSIS_TEST_IMAGE')}"]
    command += [f"--bwrap={needed('CHASSIS_TEST_BWRAP')}", f"--proot={needed('CHASSIS_TEST_PROOT')}", "--name=digits"]
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    with output.open("wb") as file:
        process = subprocess.Popen([*command, *flags], stdout=file, stderr=subprocess.STDOUT, env=environment)
    try:
        end = time.monotonic() + LIMIT_SECONDS
        while process.poll() is None and "Ctrl-C" not in output.read_text():
            assert time.monotonic() < end, output.read_text()
            time.sleep(0.05)
        yield process, output.read_text().splitlines()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("ending", "flags"), [(signal.SIGINT, ()), (signal.SIGTERM, ("--page_port=0",))], ids=["interrupt", "terminate"]
)
def test_the_commands_that_it_prints_work_and_a_signal_ends_it_well(
    tmp_path: Path, ending: signal.Signals, flags: tuple[str, ...]
) -> None:
    with serving(tmp_path, *flags) as (process, lines):
        commands = [shlex.split(line) for line in lines if line.startswith("curl ")]
        assert len(commands) == 2
        for _, _, url, _, body in commands:
            host, _, path = url.removeprefix("http://").partition("/")
            answer = call(int(host.rpartition(":")[2]), "POST", f"/{path}", json.loads(body))
            assert "expected a list of 64 numbers" in answer.json()["error"]  # the model read the body
        (http,) = (line for line in lines if line.startswith("HTTP "))
        description = http.split()[3]
        port = int(description.split("/")[2].rpartition(":")[2])
        assert call(port, "GET", "/openapi.json").json()["info"]["title"] == "digits"
        pages = [line.split()[1] for line in lines if line.startswith("page ")]
        assert len(pages) == (0 if flags else 1)
        for page in pages:
            shown = call(int(page.split(":")[2].strip("/")), "GET", "/")
            assert shown.headers["content-security-policy"].startswith("default-src 'none'; script-src 'sha256-")
            assert "<title>digits</title>" in shown.body.decode()
        process.send_signal(ending)
        assert process.wait(LIMIT_SECONDS) == 0
    written = (tmp_path / "output").read_text()
    assert "stopping: what was accepted is answered first" in written
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_was_accepted_is_answered_before_it_ends(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, lines), ThreadPoolExecutor(1) as pool:
        (command,) = (shlex.split(line) for line in lines if line.startswith("curl ") and ":predict" in line)
        host, _, path = command[2].removeprefix("http://").partition("/")
        port = int(host.rpartition(":")[2])
        workers = leaves(process.pid)
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        answer = pool.submit(call, port, "POST", f"/{path}", {"instances": [[0] * 64]}, timeout=LIMIT_SECONDS)
        wait_until(
            lambda: re.search(
                r"^\w*requests_in_flight\w*(\{.*\})? 1", call(port, "GET", "/metrics").body.decode(), re.M
            )
        )
        process.send_signal(signal.SIGINT)
        wait_until(lambda: "stopping" in (tmp_path / "output").read_text())
        assert not answer.done()
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        assert answer.result(LIMIT_SECONDS).status == 200
        assert process.wait(LIMIT_SECONDS) == 0


def leaves(pid: int) -> list[int]:
    """The processes below one that have none below them."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [leaf for child in children for leaf in leaves(int(child))] or [pid]


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + LIMIT_SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_server_without_http_has_no_page_to_ask_it_on(tmp_path: Path) -> None:
    with serving(tmp_path, "--env=CHASSIS_SERVERS=v2-grpc") as (_, lines):
        assert [line for line in lines if line.startswith("gRPC ")]
        assert not [line for line in lines if line.startswith(("curl ", "page "))]


@pytest.mark.parametrize("flag", ["port", "grpc_port", "page_port"])
def test_a_port_that_is_taken_is_an_error_at_once_if_it_was_asked_for(tmp_path: Path, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(tmp_path, f"--{flag}={port}") as (process, lines):
            assert process.wait(LIMIT_SECONDS) == 1
    assert lines == [f"error: 127.0.0.1:{port} cannot be listened on: Address already in use"]


def test_it_listens_on_the_address_that_is_given(tmp_path: Path) -> None:
    with serving(tmp_path, "--host=127.0.0.2") as (process, lines):
        (page,) = (line.split()[1] for line in lines if line.startswith("page "))
        assert page.startswith("http://127.0.0.2:")
        with urllib.request.urlopen(f"{page}openapi.json", timeout=LIMIT_SECONDS) as answer:
            assert json.load(answer)["info"]["title"] == "digits"
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_SECONDS) == 0
    with serving(tmp_path, "--host=::1") as (process, lines):
        assert process.wait(LIMIT_SECONDS) == 1
    assert lines[-1].startswith("error: ::1 is not an IPv4 address")


def test_variables_reach_the_server_and_a_start_that_fails_shows_its_log(tmp_path: Path) -> None:
    with serving(tmp_path, "--env=CHASSIS_WORKERS=many") as (process, _):
        assert process.wait(LIMIT_SECONDS) == 1
    written = (tmp_path / "output").read_text()
    assert "error: the server ended before it was ready" in written
    assert "CHASSIS_WORKERS" in written


def test_what_is_no_variable_is_an_error(tmp_path: Path) -> None:
    with serving(tmp_path, "--env=CHASSIS_WORKERS") as (process, lines):
        assert process.wait(LIMIT_SECONDS) == 1
    assert lines[-1] == "error: --env=CHASSIS_WORKERS: expected NAME=VALUE"

"""Tests of a running server as it is by default: the model in one process beside it."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chassis.runtime import omi_pb2
from tests.support.http_client import call
from tests.support.running_server import RunningServer, write_model


class LoadsOnce:
    """Can be unpickled once."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __setstate__(self, state: dict) -> None:
        state["mark"].touch(exist_ok=False)
        self.__dict__.update(state)

    def __call__(self, content: bytes) -> int:
        if content == b"crash":
            os._exit(1)
        return len(content)


PREDICT = "/v1/models/tested:predict"


def result(server: RunningServer, content: bytes) -> object:
    """The JSON of an item, or its error as text."""
    (output,) = server.run(content).outputs
    return json.loads(output.output["results.json"]) if output.success else output.output["error"].decode()


def test_a_model_that_crashes_fails_its_item_and_is_started_again(tmp_path: Path) -> None:
    def crashes(content: bytes) -> int:
        if content == b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        return os.getpid()

    with RunningServer(write_model(tmp_path, crashes)) as server:
        before = result(server, b"")
        assert before != server.process.pid
        assert result(server, b"crash") == "the model's process ended while it ran the item; twice with this item"
        assert call(server.http_port, "GET", "/v2/health/live").status == 200
        after = result(server, b"")
        assert isinstance(after, int)
        assert after != before
        server.wait_event("a process of the model ended, it is started again", lambda event: "SIGSEGV" in event["how"])


def test_a_call_that_outlasts_run_timeout_is_ended_and_the_next_is_answered(tmp_path: Path) -> None:
    def sleeps(content: bytes) -> int:
        time.sleep(float(content))
        return os.getpid()

    with RunningServer(write_model(tmp_path, sleeps, run_timeout=0.5)) as server:
        before = result(server, b"0")
        answer = call(server.http_port, "POST", PREDICT, {"instances": ["600"]})
        assert (answer.status, "run timeout of 0.5 s" in answer.json()["error"]) == (504, True)
        after = result(server, b"0")
        assert isinstance(after, int)
        assert after != before


def test_a_model_that_does_not_load_again_ends_the_server(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path / "model", LoadsOnce(tmp_path / "mark"), load_timeout=2)) as server:
        assert result(server, b"ab") == 2
        item = omi_pb2.InputItem(input={"input": b"crash"})
        waiting = server.omi.Run.future(omi_pb2.RunRequest(inputs=[item]), timeout=60)
        server.wait_health("NOT_SERVING")
        assert call(server.http_port, "GET", "/v2/health/ready").status == 400
        reason = "the model's process ended with status 1, and none has loaded the model again within 2 s"
        assert server.wait_event("the model is lost")["reason"] == reason
        assert waiting.result().outputs[0].output["error"].decode() == reason
        assert server.wait_end() == 1


def test_what_a_model_starts_ends_with_its_process(tmp_path: Path) -> None:
    def starts(content: bytes) -> int:
        import subprocess

        (tmp_path / "pid").write_text(str(subprocess.Popen(["sleep", "600"]).pid))
        time.sleep(600)
        return 0

    with RunningServer(write_model(tmp_path / "model", starts, run_timeout=0.5)) as server:
        assert "run timeout of 0.5 s" in str(result(server, b""))
        stat = Path("/proc", (tmp_path / "pid").read_text(), "stat")
        until = time.monotonic() + 20
        while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < until
            time.sleep(0.01)


def test_what_a_model_forks_ends_when_it_is_told_to(tmp_path: Path) -> None:
    def forks(content: bytes) -> int | None:
        import multiprocessing

        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
        child.start()
        child.terminate()
        child.join(20)
        return child.exitcode

    with RunningServer(write_model(tmp_path, forks)) as server:
        assert result(server, b"") == -signal.SIGTERM


def test_a_model_that_holds_the_lock_keeps_nobody_from_being_heard(tmp_path: Path) -> None:
    def holds(content: bytes) -> int:
        return sum(itertools.repeat(1, int(content)))  # in C, which lets no other thread have the lock

    with RunningServer(write_model(tmp_path, holds)) as server, ThreadPoolExecutor(1) as pool:
        server.wait_health("SERVING")
        computing = pool.submit(result, server, b"100000000")
        heard = 0
        while not computing.done():
            heard += call(server.http_port, "GET", "/v2/health/ready").status == 200
        assert heard > 10
        assert computing.result() == 100_000_000


@pytest.mark.parametrize("size", [0, 1, 65_400, 65_536, 65_600, 5_000_000])
def test_contents_of_any_size_come_whole(tmp_path: Path, size: int) -> None:
    def digest(content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()

    content = os.urandom(size)
    with RunningServer(write_model(tmp_path, digest)) as server:
        assert result(server, content) == hashlib.sha256(content).hexdigest()
        assert result(server, b"after it") == hashlib.sha256(b"after it").hexdigest()

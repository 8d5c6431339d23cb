"""Tests of a running server whose model is in two processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from chassis.runtime import omi_pb2
from tests.support.http_client import call
from tests.support.marking_model import write_marking_model
from tests.support.running_server import RunningServer, write_model

TWO = {"CHASSIS_WORKERS": "2"}


def process_id(content: bytes) -> int:
    """The process that answers, after the seconds in `content`."""
    time.sleep(float(content or 0))
    return os.getpid()


class DiesToLoad:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple:
        return os._exit, (3,)

    def __call__(self, content: bytes) -> int:
        return 0


class WaitsToLoad:
    """Is unpickled when something is written to its pipe, but for the first `free` times."""

    def __init__(self, pipe: Path, free: int) -> None:
        self.pipe = pipe
        self.free = free

    def __setstate__(self, state: dict) -> None:
        for number in range(state["free"]):
            try:
                state["pipe"].with_name(f"free-{number}").touch(exist_ok=False)
                break
            except FileExistsError:
                pass
        else:
            state["pipe"].read_bytes()
        self.__dict__.update(state)

    def __call__(self, content: bytes) -> int:
        return process_id(content)


def results(response: omi_pb2.RunResponse) -> list[object]:
    """The JSON of each item, or its error as text."""
    return [
        json.loads(item.output["results.json"]) if item.success else item.output["error"].decode()
        for item in response.outputs
    ]


def metric(server: RunningServer, name: str) -> list[float]:
    """The values of a metric."""
    lines = call(server.http_port, "GET", "/metrics").body.decode().splitlines()
    return [float(line.rpartition(" ")[2]) for line in lines if line.split("{")[0].split(" ")[0] == name]


def wait_until(condition: Callable[[], bool], timeout: float = 20.0) -> None:
    until = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def worker_pids(server: RunningServer) -> set[int]:
    """Of the two processes: each is held busy once, so that both have to answer."""
    found: set[int] = set()
    with ThreadPoolExecutor(2) as pool:
        for _ in range(50):
            answers = pool.map(lambda _: results(server.run(b"0.05"))[0], range(2))
            found.update(answers)  # type: ignore[arg-type]
            if len(found) == 2:
                return found
    raise AssertionError(f"only {found} answered")


def is_there(pid: int) -> bool:
    """Whether the process runs; one that ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_items_are_answered_by_processes_of_their_own_at_the_same_time(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, process_id), TWO) as server:
        server.wait_health("SERVING")
        server.wait_event("model loaded", lambda event: event["worker"] == 1)
        started = time.monotonic()
        pids = worker_pids(server)
        assert time.monotonic() - started < 10
        assert server.process.pid not in pids
        memory = metric(server, "chassis_worker_resident_memory_bytes")
        assert len(memory) == 2
        assert min(memory) > 1_000_000


def test_a_process_that_is_killed_is_started_again_and_no_request_is_lost(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, process_id), TWO) as server:
        server.wait_health("SERVING")
        pids = worker_pids(server)
        killed = min(pids)
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(server.run, b"0.02") for _ in range(100)]
            wait_until(calls[5].done)
            os.kill(killed, signal.SIGKILL)
            answers = [results(future.result())[0] for future in calls]
        assert all(isinstance(answer, int) for answer in answers)
        server.wait_event("a process of the model ended, it is started again", lambda event: "SIGKILL" in event["how"])
        wait_until(lambda: server.status().status_code == 200 and killed not in worker_pids(server))
        assert metric(server, "chassis_worker_restarts_total") == [1]


def test_an_idle_process_that_is_killed_costs_no_request_an_attempt(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, process_id), TWO) as server:
        server.wait_health("SERVING")
        pids = worker_pids(server)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: metric(server, "chassis_worker_restarts_total") == [2])
        assert results(server.run(b"", b"", b""))[0] not in pids


def test_only_the_item_that_ends_the_process_fails_and_it_is_tried_twice(tmp_path: Path) -> None:
    tries = tmp_path / "tries"

    def dies(inputs: list[bytes]) -> list[int]:
        if b"die" in inputs:
            with tries.open("ab") as file:
                file.write(b"x")
            os.kill(os.getpid(), signal.SIGSEGV)
        return [len(content) for content in inputs]

    with RunningServer(write_model(tmp_path / "model", dies, batch_size=8), TWO) as server:
        server.wait_health("SERVING")
        error = "the model's process ended while it ran the item; twice with this item"
        assert results(server.run(b"a", b"die", b"ccc")) == [1, error, 3]
        assert tries.read_bytes() == b"xx"
        server.wait_event("a process of the model ended, it is started again", lambda event: "SIGSEGV" in event["how"])
        answer = call(server.http_port, "POST", "/v1/models/tested:predict", {"instances": ["die"]})
        assert (answer.status, answer.json()["error"]) == (500, error)
        assert results(server.run(b"ab")) == [2]
        assert metric(server, "chassis_item_errors_total")[-1] == 2


def test_an_item_whose_process_was_killed_is_tried_once_more(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def dies_once(content: bytes) -> str:
        if not mark.exists():
            mark.touch()
            os._exit(7)
        return content.decode()

    with RunningServer(write_model(tmp_path / "model", dies_once), TWO) as server:
        assert results(server.run(b"abc")) == ["abc"]
        server.wait_event(
            "a process of the model ended, it is started again", lambda event: event["how"] == "ended with status 7"
        )


def test_what_the_function_raises_comes_back_with_its_place_in_the_log(tmp_path: Path) -> None:
    def refuse(inputs: list[bytes]) -> object:
        if b"short" in inputs:
            return []
        if b"bad" in inputs:
            raise ValueError("no good")
        return [len(content) for content in inputs]

    with RunningServer(write_model(tmp_path, refuse, batch_size=4, max_size=10), TWO) as server:
        response = server.run(b"a", b"bad", b"x" * 11)
        assert results(response)[:2] == [1, "ValueError: no good"]
        assert "more than its max_size" in results(response)[2]  # type: ignore[operator]
        event = server.wait_event("an item failed")
        assert (event["error"], "refuse" in str(event["at"])) == ("ValueError", True)
        assert results(server.run(b"short")) == [
            "the batch function returned 0 results for 1 inputs, expected one for each"
        ]


def test_a_call_that_outlasts_run_timeout_ends_its_process_and_the_other_answers(tmp_path: Path) -> None:
    model = write_model(tmp_path, process_id, run_timeout=0.5)
    with RunningServer(model, TWO) as server:
        server.wait_health("SERVING")
        pids = worker_pids(server)
        stuck = server.omi.Run.future(_request(b"60"), timeout=20)
        answers = {results(server.run(b""))[0] for _ in range(20)}
        assert len(answers) == 1
        assert "run timeout of 0.5 s" in results(stuck.result())[0]  # type: ignore[operator]
        assert server.health_of("") == "SERVING"
        (lost,) = pids - answers
        wait_until(lambda: not is_there(lost))
        wait_until(lambda: metric(server, "chassis_worker_restarts_total") == [1])
        assert lost not in worker_pids(server)


def test_it_is_not_serving_while_no_process_is_there(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with RunningServer(write_model(tmp_path / "model", WaitsToLoad(pipe, 2)), TWO) as server:
        server.wait_health("SERVING")
        for pid in worker_pids(server):
            os.kill(pid, signal.SIGKILL)
        server.wait_health("NOT_SERVING")
        assert (server.status().status_code, "it is started again" in server.status().message) == (503, True)
        assert call(server.http_port, "GET", "/v2/health/ready").status == 400
        waiting = server.omi.Run.future(_request(b"0"), timeout=20)
        pipe.write_bytes(b"go")
        server.wait_health("SERVING")
        assert isinstance(results(waiting.result())[0], int)


def test_a_model_that_no_process_can_load_says_why_and_ends_after_the_load_timeout(tmp_path: Path) -> None:
    reason = "the model could not be loaded: its process ended with status 3"
    with RunningServer(write_model(tmp_path, DiesToLoad(), load_timeout=4), TWO) as server:
        wait_until(lambda: server.status().status_code == 500)
        assert server.status().message == reason
        assert server.health_of("") == "NOT_SERVING"
        assert results(server.run(b"abc")) == [reason]
        assert server.wait_end() == 1


def test_sigterm_answers_what_was_accepted_and_leaves_no_process(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, process_id), TWO) as server:
        server.wait_health("SERVING")
        pids = worker_pids(server)
        calls = [server.omi.Run.future(_request(b"0.3"), timeout=20) for _ in range(6)]
        server.status()
        server.signal(signal.SIGTERM)
        assert {results(one.result())[0] for one in calls} == pids
        assert server.wait_end() == 0
        assert not any(map(is_there, pids))


def test_a_signal_to_every_process_drains_all_the_same(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, process_id), TWO) as server:
        server.wait_health("SERVING")
        pids = worker_pids(server)
        calls = [server.omi.Run.future(_request(b"0.3"), timeout=20) for _ in range(2)]
        server.status()
        for pid in (*pids, *_children(server.process.pid), server.process.pid):
            os.kill(pid, signal.SIGTERM)
        assert {results(one.result())[0] for one in calls} == pids
        assert server.wait_end() == 0


def test_a_drain_ends_processes_that_do_not_answer(tmp_path: Path) -> None:
    environment = {**TWO, "CHASSIS_DRAIN_TIMEOUT": "0.3"}
    with RunningServer(write_model(tmp_path, process_id), environment) as server:
        server.wait_health("SERVING")
        pids = worker_pids(server)
        server.omi.Run.future(_request(b"60"), timeout=20)
        server.status()
        server.signal(signal.SIGTERM)
        assert server.wait_end() == 0
        wait_until(lambda: not any(map(is_there, pids)))


def test_processes_end_with_a_server_that_is_killed(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, process_id), TWO) as server:
        server.wait_health("SERVING")
        left = [*worker_pids(server), *_children(server.process.pid)]
        server.signal(signal.SIGKILL)
        server.process.wait(20)
        wait_until(lambda: not any(map(is_there, left)))


def test_without_the_process_that_starts_others_the_server_drains_and_ends_with_1(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, process_id), TWO) as server:
        server.wait_health("SERVING")
        (fork_server,) = _children(server.process.pid)
        accepted = server.omi.Run.future(_request(b"0.5"), timeout=20)
        server.status()
        os.kill(fork_server, signal.SIGKILL)
        assert isinstance(results(accepted.result())[0], int)
        assert server.wait_end() == 1


def test_what_the_model_registers_for_the_end_is_done(tmp_path: Path) -> None:
    def register(content: bytes) -> int:
        import atexit

        atexit.register((tmp_path / f"mark-{os.getpid()}").touch)
        return os.getpid()

    with RunningServer(write_model(tmp_path / "model", register), TWO) as server:
        (pid,) = results(server.run(b""))
        server.signal(signal.SIGTERM)
        assert server.wait_end() == 0
    assert (tmp_path / f"mark-{pid}").exists()


def test_a_cancelled_call_is_not_computed(tmp_path: Path) -> None:
    model, marks = write_marking_model(tmp_path)
    with RunningServer(model, TWO) as server:
        server.wait_event("model loaded", lambda event: event["worker"] == 0)
        server.wait_event("model loaded", lambda event: event["worker"] == 1)
        server.wait_health("SERVING")
        busy = [server.omi.Run.future(_request(name), timeout=20) for name in (b"first", b"second")]
        wait_until(lambda: len(list(marks.iterdir())) == 2)
        with pytest.raises(grpc.RpcError) as caught:
            server.run(b"late", timeout=0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert all(one.result().outputs[0].success for one in busy)
        assert server.run(b"next").outputs[0].success
    assert sorted(path.name for path in marks.iterdir()) == ["first", "next", "second"]


def test_as_process_1_killed_processes_leave_no_zombie(tmp_path: Path) -> None:
    prefix = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc")
    if not _works(prefix):
        pytest.skip("this machine gives no process namespace to users")

    def processes(content: bytes) -> list[str]:
        if content == b"die":
            os._exit(1)
        return [path.read_text().rpartition(")")[2].split()[0] for path in Path("/proc").glob("[0-9]*/stat")]

    with RunningServer(write_model(tmp_path, processes), TWO, prefix=prefix) as server:
        server.wait_health("SERVING")
        results(server.run(b"die"))
        wait_until(lambda: metric(server, "chassis_worker_restarts_total") == [2])
        wait_until(lambda: "Z" not in results(server.run(b""))[0])  # type: ignore[operator]
        (init,) = _children(server.process.pid)
        os.kill(init, signal.SIGTERM)
        assert server.wait_end() == 0


def test_it_runs_as_nobody_with_nothing_to_write(tmp_path: Path) -> None:
    """In a user namespace it is user 65532, and the whole file system is mounted read-only."""
    read_only = (
        "mount --make-rprivate / && mount -o bind,remount,ro / && ! touch /tmp/chassis-written 2>/dev/null && "
        "exec unshare --user --map-user=65532 --map-group=65532 -- "
    )
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", read_only + '"$@"', "sh")
    if not _works(prefix):
        pytest.skip("this machine gives no mount namespace to users")

    def user(content: bytes) -> list[object]:
        return [os.getuid(), os.access(Path.cwd(), os.W_OK)]

    with RunningServer(write_model(tmp_path, user), {**TWO, "HOME": "/nonexistent"}, prefix=prefix) as server:
        server.wait_health("SERVING")
        assert results(server.run(b"x")) == [[65532, False]]


def _works(prefix: tuple[str, ...]) -> bool:
    if not shutil.which(prefix[0]):
        return False
    return subprocess.run([*prefix, "true"], capture_output=True, timeout=20, check=False).returncode == 0


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _request(content: bytes) -> omi_pb2.RunRequest:
    return omi_pb2.RunRequest(inputs=[omi_pb2.InputItem(input={"input": content})])

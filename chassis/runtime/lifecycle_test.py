"""Tests of a running server: how it starts, and how it fails."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chassis.runtime import omi_pb2
from tests.support.running_server import RunningServer, ServerEndedError, write_model
from tests.support.waiting_model import WaitsToLoad
from tests.support.worker_modes import workers

__all__ = ["workers"]


class SlowToLoad:
    """Takes half a second, or as long as it is told, to be unpickled."""

    def __init__(self, seconds: float = 0.5) -> None:
        self.seconds = seconds

    def __setstate__(self, state: dict) -> None:
        time.sleep(state["seconds"])
        self.__dict__.update(state)

    def __call__(self, content: bytes) -> int:
        return len(content)


class FailsToLoad:
    """Cannot be unpickled."""

    def __reduce__(self) -> tuple:
        return _raise, ()

    def __call__(self, content: bytes) -> int:
        return 0


def _raise() -> None:
    raise OSError("the weights are not there")


def slow(content: bytes) -> str:
    """Answers after half a second."""
    time.sleep(0.5)
    return content.decode()


def collects(content: bytes) -> bool:
    """Whether Python collects garbage where the model runs."""
    return gc.isenabled()


def _wait_failed(server: RunningServer) -> omi_pb2.StatusResponse:
    """The status once it is that of a model that could not be loaded."""
    until = time.monotonic() + 20
    while (status := server.status()).status_code != 500:
        assert time.monotonic() < until
    return status


def test_the_port_answers_not_serving_until_the_model_is_loaded(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with RunningServer(write_model(tmp_path, WaitsToLoad(pipe))) as server:
        assert server.health_of("") == "NOT_SERVING"
        assert server.health_of("ModzyModel") == "NOT_SERVING"
        status = server.status()
        assert (status.status_code, status.message) == (503, "the model is loading")
        pipe.write_bytes(b"go")
        server.wait_health("SERVING")
        assert server.health_of("ModzyModel") == "SERVING"
        assert server.status().status_code == 200


def test_run_while_the_model_loads_waits_for_it(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, SlowToLoad())) as server:
        assert server.run(b"abc").outputs[0].output["results.json"] == b"3"


@pytest.mark.parametrize("count", ["0", "1", "2"])
def test_garbage_is_collected_once_all_is_loaded(tmp_path: Path, count: str) -> None:
    with RunningServer(write_model(tmp_path, collects), {"CHASSIS_WORKERS": count}) as server:
        assert server.run(b"").outputs[0].output["results.json"] == b"true"


def test_threads_of_openblas_sleep_soon_unless_the_image_says_otherwise(tmp_path: Path) -> None:
    def wait(content: bytes) -> str | None:
        return os.environ.get("OPENBLAS_THREAD_TIMEOUT")

    model = write_model(tmp_path, wait)
    with RunningServer(model) as server:
        assert server.run(b"").outputs[0].output["results.json"] == b'"20"'
    with RunningServer(model, {"OPENBLAS_THREAD_TIMEOUT": "26"}) as server:
        assert server.run(b"").outputs[0].output["results.json"] == b'"26"'


def test_a_model_that_fails_to_load_says_why_and_ends_after_the_load_timeout(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, FailsToLoad(), load_timeout=2)) as server:
        status = _wait_failed(server)
        assert status.message == "the model could not be loaded: OSError: the weights are not there"
        assert server.health_of("") == "NOT_SERVING"
        response = server.run(b"abc")
        assert response.status_code == 500
        assert not response.outputs[0].success
        assert b"the weights are not there" in response.outputs[0].output["error"]
        assert server.wait_end() == 1


def test_a_model_that_loads_for_too_long_ends_the_server(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, SlowToLoad(30), load_timeout=0.5)) as server:
        started = time.monotonic()
        assert server.wait_end() == 1
        assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"garbage", "UnpicklingError"),
        (b"", "EOFError"),
        (b"\x80\x05K\x01.", "holds a int, expected a predict function"),
    ],
)
def test_a_pickle_that_holds_no_function_is_a_failure_to_load(tmp_path: Path, content: bytes, reason: str) -> None:
    with RunningServer(write_model(tmp_path, content)) as server:
        assert reason in _wait_failed(server).message


def test_a_pickle_of_another_python_names_both(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, slow, python="3.9")) as server:
        running = f"{sys.version_info.major}.{sys.version_info.minor}"
        assert f"pickled by Python 3.9, this is Python {running}" in _wait_failed(server).message


def test_a_signal_while_the_model_loads_ends_with_0(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, SlowToLoad(60))) as server:
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.wait_end() == 0
        assert time.monotonic() - started < 10


def test_a_port_in_use_is_an_error_that_names_it(tmp_path: Path) -> None:
    model = write_model(tmp_path, slow)
    with (
        RunningServer(model) as server,
        pytest.raises(ServerEndedError, match=rf"cannot listen on 127\.0\.0\.1:{server.port}.*PSC_MODEL_PORT"),
    ):
        RunningServer(model, {"PSC_MODEL_PORT": str(server.port)})


def test_a_missing_model_directory_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ServerEndedError, match=r"error: .*nowhere/model.json is not there"):
        RunningServer(tmp_path / "nowhere")


def test_a_status_that_is_no_protobuf_is_an_error(tmp_path: Path) -> None:
    model = write_model(tmp_path, slow)
    (model / "status.pb").write_bytes(b"\xff\xff")
    with pytest.raises(ServerEndedError, match=r"status.pb is not a serialised OMI StatusResponse"):
        RunningServer(model)


def test_ipv6_and_ipv4_by_default(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, len), {"CHASSIS_HOST": ""}) as server:
        server.wait_health("SERVING")
        assert server.run(b"abc").outputs[0].success


def _own_process_tree() -> tuple[str, ...] | None:
    """A command that makes what it starts process 1 of a namespace; None if this machine forbids that."""
    program = shutil.which("unshare")
    if not program:
        return None
    command = (program, "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc")
    tried = subprocess.run([*command, "true"], capture_output=True, timeout=20, check=False)
    return command if tried.returncode == 0 else None


def orphans(content: bytes) -> dict[str, int]:
    """Leaves an orphan behind that ends at once, and waits for a child of its own."""
    subprocess.run(["sh", "-c", "sh -c 'exec true' &"], check=True)
    status = subprocess.run(["sh", "-c", "exit 7"], check=False).returncode
    until = time.monotonic() + 10
    zombies = -1
    while zombies and time.monotonic() < until:
        zombies = sum(_state(process) == "Z" for process in Path("/proc").glob("[0-9]*"))
        time.sleep(0.02)
    return {"zombies": zombies, "status": status, "pid": os.getpid()}


def _state(process: Path) -> str:
    """`R`, `S`, `Z`, …; empty for a process that is gone."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_as_process_1_it_drains_reaps_orphans_and_ends_with_0(tmp_path: Path) -> None:
    prefix = _own_process_tree()
    if prefix is None:
        pytest.skip("this machine gives no process namespace to users")
    with RunningServer(write_model(tmp_path, orphans), prefix=prefix) as server:
        server.wait_health("SERVING")
        result = json.loads(server.run(b"x").outputs[0].output["results.json"])
        assert result["zombies"] == 0
        assert result["status"] == 7
        assert result["pid"] != 1
        init = _child_of(server.process.pid)
        os.kill(init, signal.SIGTERM)
        server.wait_event("stopped")
        assert server.wait_end() == 0


def test_it_runs_as_nobody_with_nothing_to_write(tmp_path: Path) -> None:
    """In a user namespace it is user 65532, and the whole file system is mounted read-only."""
    if not shutil.which("unshare"):
        pytest.skip("this machine has no unshare")
    nobody = "exec unshare --user --map-user=65532 --map-group=65532 -- "
    read_only = "mount --make-rprivate / && mount -o bind,remount,ro / && ! touch /tmp/chassis-written 2>/dev/null && "
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", read_only + nobody + '"$@"', "sh")
    if subprocess.run([*prefix, "true"], capture_output=True, timeout=20, check=False).returncode:
        pytest.skip("this machine gives no mount namespace to users")

    def user(content: bytes) -> int:
        return os.getuid()

    with RunningServer(write_model(tmp_path, user), {"HOME": "/nonexistent"}, prefix=prefix) as server:
        server.wait_health("SERVING")
        assert server.run(b"x").outputs[0].output["results.json"] == b"65532"


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

"""Tests of the process that forks the model's, if it cannot."""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path
from typing import NoReturn

import pytest

from chassis.runtime.settings import read_settings
from chassis.runtime.workers.fork_server import NoProcessError, start_fork_server
from tests.support.running_server import RunningServer, write_model
from tests.support.waiting_model import WaitsToLoad


def test_a_system_that_starts_no_process_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses() -> NoReturn:  # root, whom no limit binds, may run this test
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    settings = read_settings({"CHASSIS_MODEL_DIR": str(write_model(tmp_path, len))})
    monkeypatch.setattr(os, "fork", refuses)
    with pytest.raises(NoProcessError, match=r"Resource temporarily unavailable; CHASSIS_WORKERS=0"):
        start_fork_server(settings)


def test_a_model_that_is_loaded_without_it_does_not_serve(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with RunningServer(write_model(tmp_path / "model", WaitsToLoad(pipe), load_timeout=4)) as server:
        pid = server.process.pid
        (fork_server,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        (worker,) = Path(f"/proc/{fork_server}/task/{fork_server}/children").read_text().split()
        os.kill(int(fork_server), signal.SIGKILL)
        until = time.monotonic() + 20
        while server.status().status_code != 500:
            assert time.monotonic() < until
        pipe.write_bytes(b"go")
        server.wait_event("model loaded")
        assert server.status().message == "the process that starts the model's processes ended"
        error = server.run(b"ab").outputs[0].output["error"]
        assert error == b"the process that starts the model's processes ended"
        assert server.health_of("") == "NOT_SERVING"
        assert server.wait_end() == 1
        while Path("/proc", worker).exists():
            assert time.monotonic() < until

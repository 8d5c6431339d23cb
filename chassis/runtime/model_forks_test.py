"""Tests of a running server whose model forks, in a process of its own and in a thread of the server."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from tests.support.inference_requests import predict
from tests.support.running_server import RunningServer, write_model


def pooled(content: bytes) -> list[int]:
    """Has two processes compute, which `multiprocessing` then ends with SIGTERM."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, [-1, -len(content)])


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_pool_of_processes_ends_alone(tmp_path: Path, workers: str) -> None:
    with RunningServer(write_model(tmp_path, pooled), {"CHASSIS_WORKERS": workers}) as server:
        server.wait_health("SERVING")
        for _ in range(5):
            assert predict(server, "xy").json() == {"predictions": [[1, 2]]}
        assert server.process.poll() is None
        assert not [event for event in server.events if event.get("message") == "stopping"]

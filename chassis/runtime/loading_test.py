"""Tests of a running server whose model has something to load."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from chassis.runtime import omi_pb2
from chassis.runtime.core.loader import Loader
from tests.support.http_client import call
from tests.support.running_server import RunningServer, write_model


def load() -> dict[str, object]:
    """What no pickle can hold, made by the process that answers."""
    return {"guard": threading.Lock(), "process": os.getpid(), "loads": []}


def process(loaded: dict, content: bytes) -> list:
    """Says in which process it was loaded, where it runs, and how often it was called."""
    with loaded["guard"]:
        loaded["loads"].append(content)
        return [loaded["process"] == os.getpid(), len(loaded["loads"])]


def batch(loaded: dict, contents: list[bytes]) -> list:
    """The same of a batch."""
    return [process(loaded, content) for content in contents]


class Model:
    """The same as a class."""

    def load(self) -> None:
        self.loaded = load()

    def predict(self, content: bytes) -> list:
        return process(self.loaded, content)


def results(response: omi_pb2.RunResponse) -> list[object]:
    """The JSON of each item, or its error as text."""
    return [
        json.loads(item.output["results.json"]) if item.success else item.output["error"].decode()
        for item in response.outputs
    ]


@pytest.mark.parametrize("workers", ["0", "1", "2"])
@pytest.mark.parametrize(
    ("model", "batch_size"), [(Loader(process, load), 0), (Loader(batch, load), 4), (Loader(Model), 0)]
)
def test_each_process_of_the_model_loads_once_before_it_answers(
    tmp_path: Path, model: Loader, batch_size: int, workers: str
) -> None:
    with RunningServer(write_model(tmp_path, model, batch_size=batch_size), {"CHASSIS_WORKERS": workers}) as server:
        answers = results(server.run(b"a", b"b", b"c", b"d"))
        assert all(here for here, _ in answers)
        if workers != "2":
            assert [count for _, count in answers] == [1, 2, 3, 4]


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_server_is_ready_once_its_model_has_loaded_which_run_timeout_does_not_bound(
    tmp_path: Path, workers: str
) -> None:
    gate = tmp_path / "gate"

    def waits() -> str:
        while not gate.exists():
            time.sleep(0.01)
        return "loaded"

    model = write_model(tmp_path / "model", Loader(lambda loaded, content: loaded, waits), run_timeout=0.2)
    with RunningServer(model, {"CHASSIS_WORKERS": workers}) as server:
        begun = time.monotonic()
        while time.monotonic() < begun + 0.6:
            assert not call(server.http_port, "GET", "/v2/health/ready").json()["ready"]
        gate.touch()
        server.wait_event("model loaded")
        assert results(server.run(b"")) == ["loaded"]


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_model_that_does_not_load_in_time_ends_the_server(tmp_path: Path, workers: str) -> None:
    model = write_model(tmp_path, Loader(lambda loaded, content: 0, lambda: time.sleep(600)), load_timeout=0.5)
    with RunningServer(model, {"CHASSIS_WORKERS": workers}) as server:
        assert server.process.wait(30) == 1


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_load_raises_is_why_the_model_is_not_served(tmp_path: Path, workers: str) -> None:
    model = write_model(tmp_path, Loader(lambda loaded, content: 0, Path("/weights.bin").read_bytes))
    with RunningServer(model, {"CHASSIS_WORKERS": workers}) as server:
        server.wait_event("the model could not be loaded")
        (error,) = results(server.run(b""))
        assert error == (
            "the model could not be loaded: FileNotFoundError: [Errno 2] No such file or directory: '/weights.bin'"
        )

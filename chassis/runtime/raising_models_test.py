"""Tests of a running server whose model raises what most code does not catch."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from chassis.runtime import omi_pb2
from tests.support.running_server import RunningServer, write_model

RAISED = {
    "exit": (SystemExit(3), "SystemExit: 3"),
    "interrupt": (KeyboardInterrupt(), "KeyboardInterrupt"),
    "cancelled": (asyncio.CancelledError(), "CancelledError"),
    "generator": (GeneratorExit("no good"), "GeneratorExit: no good"),
}


def one(content: bytes) -> int:
    """Raises what the input names, else answers with its length."""
    if content.decode() in RAISED:
        raise RAISED[content.decode()][0]
    return len(content)


def batch(contents: list[bytes]) -> list[int]:
    """The same of a batch."""
    return [one(content) for content in contents]


class RaisesToLoad:
    """Raises what it is told when it is unpickled."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> tuple:
        return one, (self.name.encode(),)

    def __call__(self, content: bytes) -> int:
        return 0


def results(response: omi_pb2.RunResponse) -> list[object]:
    """The JSON of each item, or its error as text."""
    return [
        json.loads(item.output["results.json"]) if item.success else item.output["error"].decode()
        for item in response.outputs
    ]


@pytest.mark.parametrize("workers", ["0", "1", "2"])
@pytest.mark.parametrize(("function", "batch_size"), [(one, 0), (batch, 3)])
def test_whatever_the_model_raises_fails_its_item_alone(
    tmp_path: Path, function: object, batch_size: int, workers: str
) -> None:
    with RunningServer(write_model(tmp_path, function, batch_size=batch_size), {"CHASSIS_WORKERS": workers}) as server:
        for name, (_, error) in RAISED.items():
            assert results(server.run(name.encode())) == [error]
            assert results(server.run(b"a", name.encode(), b"ccc", b"dd")) == [1, error, 3, 2]
            event = server.wait_event("an item failed", lambda event, error=error: error.startswith(event["error"]))
            assert "raising_models_test.py" in str(event["at"])
        assert server.process.poll() is None


@pytest.mark.parametrize("workers", ["0", "1", "2"])
@pytest.mark.parametrize("name", RAISED)
def test_whatever_is_raised_while_the_model_loads_is_why_it_is_not_served(
    tmp_path: Path, name: str, workers: str
) -> None:
    with RunningServer(write_model(tmp_path, RaisesToLoad(name)), {"CHASSIS_WORKERS": workers}) as server:
        server.wait_event("the model could not be loaded")
        assert results(server.run(b"abc")) == [f"the model could not be loaded: {RAISED[name][1]}"]
        assert server.status().status_code == 500

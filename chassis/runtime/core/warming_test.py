"""A model is asked its warm-up before it counts as ready, in each process, however long that takes."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest

from tests.support.running_server import RunningServer, write_model

SEEN: list[bytes] = []


def remembers(inputs: list[bytes]) -> list[list[str]]:
    """Everything that this process has been asked."""
    if b"slow" in inputs:
        time.sleep(1)
    if b"bad" in inputs:
        raise ValueError("no good")
    SEEN.extend(inputs)
    return [[content.decode() for content in SEEN] for _ in inputs]


def warmed(directory: Path, *contents: bytes) -> Path:
    model = write_model(directory, remembers, batch_size=2, max_size=100)
    items = [{"input": base64.b64encode(content).decode()} for content in contents]
    (model / "warmup.json").write_text(json.dumps({"requests": [{"name": "first", "items": items}]}))
    return model


@pytest.mark.parametrize("workers", ["0", "1"])
def test_the_model_is_ready_when_it_has_been_asked(workers: str, tmp_path: Path) -> None:
    given = {"CHASSIS_WORKERS": workers, "CHASSIS_RUN_TIMEOUT": "0.5"}
    with RunningServer(warmed(tmp_path, b"slow", b"b", b"c"), given) as server:
        server.wait_health("SERVING")
        answer = server.run(b"d").outputs[0].output["results.json"]
        assert json.loads(answer) == ["slow", "b", "c", "d"]


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ((b"a", b"b", b"bad"), "warm-up 'first', item 2: ValueError: no good"),
        ((b"a", b"x" * 101), "warm-up 'first', item 1: input 'input' has 101 bytes"),
    ],
)
def test_a_warm_up_that_fails_is_a_model_that_fails_to_load(
    contents: tuple[bytes, ...], reason: str, tmp_path: Path
) -> None:
    with RunningServer(warmed(tmp_path, *contents), {"CHASSIS_LOAD_TIMEOUT": "3"}) as server:
        failure = server.wait_event("a process of the model is not there")
        assert reason in str(failure["reason"])
        assert server.wait_end() == 1

"""Tests of Triton's extensions by a client that no one here wrote: tritonclient, over HTTP and gRPC."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from tests.support.running_server import RunningServer, write_model

KINDS: dict[str, ModuleType] = {"http": tritonclient.http, "grpc": tritonclient.grpc}


def scores(items: Sequence[Mapping[str, bytes]]) -> Sequence[Mapping[str, bytes]]:
    """The row itself, twice its numbers as integers, and how many of them there are."""
    found = []
    for item in items:
        row = np.frombuffer(item["row"], "<f4")
        if (row < -100).any():
            raise ValueError("too small")
        whole = np.nan_to_num(row * 2).astype("<i8")
        found.append({"scores": item["row"], "whole": whole.tobytes(), "count": struct.pack("<q", len(row))})
    return found


def part(name: str, datatype: str, shape: Sequence[int], **more: object) -> dict[str, object]:
    plain = {"media_type": "application/octet-stream", "max_size": "", "max_bytes": None}
    return {"name": name, "datatype": datatype, "shape": list(shape), **plain, **more}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    model = write_model(
        tmp_path,
        scores,
        batch_size=8,
        signature="mapping",
        max_wait_ms=2.5,
        version="3",
        inputs=[part("row", "FP32", [3])],
        outputs=[
            part("scores", "FP32", [3], labels=["cat", "dog", "eel"]),
            part("whole", "INT64", [-1]),
            part("count", "INT64", []),
        ],
    )
    with RunningServer(model) as running:
        running.wait_health("SERVING")
        yield running


def client(kind: str, server: RunningServer) -> Any:
    port = server.http_port if kind == "http" else server.port
    return KINDS[kind].InferenceServerClient(f"127.0.0.1:{port}")


def as_json(kind: str) -> dict[str, bool]:
    return {} if kind == "http" else {"as_json": True}


def ask(found: Any, kind: str, rows: Sequence[Sequence[float]], *outputs: Any) -> Any:
    values = np.array(rows, dtype=np.float32)
    given = KINDS[kind].InferInput("row", list(values.shape), "FP32")
    given.set_data_from_numpy(values)
    return found.infer("tested", [given], outputs=list(outputs) or None)


@pytest.mark.parametrize(("kind", "binary"), [("http", True), ("http", False), ("grpc", None)])
def test_classes_are_value_index_and_label(kind: str, binary: bool | None, server: RunningServer) -> None:
    chosen = {} if binary is None else {"binary_data": binary}
    with client(kind, server) as found:
        answer = ask(
            found,
            kind,
            [[0.5, 2.25, 1], [3, 3, float("nan")]],
            KINDS[kind].InferRequestedOutput("scores", class_count=2, **chosen),
            KINDS[kind].InferRequestedOutput("whole", class_count=7, **chosen),
            KINDS[kind].InferRequestedOutput("count", **chosen),
        )
    assert [[text.decode() for text in row] for row in _texts(answer.as_numpy("scores"))] == [
        ["2.250000:1:dog", "1.000000:2:eel"],
        ["3.000000:0:cat", "3.000000:1:dog"],
    ]
    assert [text.decode() for text in _texts(answer.as_numpy("whole"))[0]] == ["4:1", "2:2", "1:0"]
    assert answer.as_numpy("count").tolist() == [3, 3]


def _texts(array: np.ndarray) -> list[list[bytes]]:
    return [[text if isinstance(text, bytes) else text.encode() for text in row] for row in array]


@pytest.mark.parametrize("kind", KINDS)
def test_the_configuration_says_what_the_model_takes_and_gives(kind: str, server: RunningServer) -> None:
    with client(kind, server) as found:
        config = found.get_model_config("tested", **as_json(kind))
        with pytest.raises(InferenceServerException, match="there is no model 'other'"):
            found.get_model_config("other")
    config = config if kind == "http" else config["config"]
    assert (config["name"], config["max_batch_size"]) == ("tested", 8)
    assert [(one["name"], one["data_type"], [int(size) for size in one["dims"]]) for one in config["input"]] == [
        ("row", "TYPE_FP32", [3])
    ]
    assert [(one["name"], one["data_type"], [int(size) for size in one["dims"]]) for one in config["output"]] == [
        ("scores", "TYPE_FP32", [3]),
        ("whole", "TYPE_INT64", [-1]),
        ("count", "TYPE_INT64", [1]),
    ]
    assert int(config["dynamic_batching"]["max_queue_delay_microseconds"]) == 2500
    assert config["instance_group"][0]["count"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_count_what_was_asked(kind: str, server: RunningServer) -> None:
    with client(kind, server) as found:
        for _ in range(3):
            ask(found, kind, [[1, 2, 3], [4, 5, 6]])
        with pytest.raises(InferenceServerException, match="too small"):
            ask(found, kind, [[-1000, 0, 0]])
        named = found.get_inference_statistics("tested", **as_json(kind))
        every = found.get_inference_statistics(**as_json(kind))
        with pytest.raises(InferenceServerException, match="there is no model 'other'"):
            found.get_inference_statistics("other")
    assert named == every
    (counted,) = named["model_stats"]
    spent = {name: int(part.get("count", 0)) for name, part in counted["inference_stats"].items()}
    assert (counted["name"], counted["version"]) == ("tested", "3")
    assert int(counted["inference_count"]) == 6
    assert int(counted["execution_count"]) == 4
    assert (spent["success"], spent["fail"], spent["queue"], spent["compute_infer"]) == (3, 1, 4, 4)
    took = {name: int(part.get("ns", 0)) for name, part in counted["inference_stats"].items()}
    assert 0 < took["compute_infer"] + took["queue"] <= took["success"] + took["fail"]
    sizes = {int(one["batch_size"]): int(one["compute_infer"]["count"]) for one in counted["batch_stats"]}
    assert sizes == {1: 1, 2: 3}


@pytest.mark.parametrize("kind", KINDS)
def test_the_repository_has_the_one_model(kind: str, server: RunningServer) -> None:
    with client(kind, server) as found:
        index = found.get_model_repository_index(**as_json(kind))
    (model,) = index if kind == "http" else index["models"]
    assert (model["name"], model["version"], model["state"]) == ("tested", "3", "READY")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda found: found.load_model("tested"), "one model, which it loads at its start"),
        (lambda found: found.unload_model("tested"), "one model, which it loads at its start"),
        (lambda found: found.get_system_shared_memory_status(), "shares no memory"),
        (lambda found: found.register_system_shared_memory("a", "/a", 8), "shares no memory"),
        (lambda found: found.unregister_cuda_shared_memory(), "shares no memory"),
        (lambda found: found.get_trace_settings("tested"), "traces are set where the server is started"),
        (lambda found: found.update_trace_settings(settings={"trace_rate": "1"}), "traces are set where the server"),
        (lambda found: found.get_log_settings(), "CHASSIS_LOG_LEVEL"),
    ],
)
def test_what_is_not_served_says_why(kind: str, call: Any, reason: str, server: RunningServer) -> None:
    with client(kind, server) as found, pytest.raises(InferenceServerException, match=reason) as raised:
        call(found)
    assert raised.value.status() == ("404" if kind == "http" else "StatusCode.UNIMPLEMENTED")


def test_extensions_are_named(server: RunningServer) -> None:
    with client("http", server) as found:
        assert {"classification", "model_configuration", "statistics"} <= set(found.get_server_metadata()["extensions"])

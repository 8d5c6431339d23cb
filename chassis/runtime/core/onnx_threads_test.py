"""Sessions of ONNX Runtime in a container with few processors."""

from __future__ import annotations

import json
from pathlib import Path

import onnxruntime
import pytest

from tests.support.running_server import RunningServer, write_model


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def identity() -> bytes:
    """A model that gives its input `x` as `y` (onnx.proto: ModelProto, GraphProto, ValueInfoProto)."""
    node = _field(1, b"x") + _field(2, b"y") + _field(4, b"Identity")
    values = [_field(1, name) + _field(2, _field(1, b"\x08\x01")) for name in (b"x", b"y")]
    graph = _field(1, node) + _field(2, b"g") + _field(11, values[0]) + _field(12, values[1])
    return b"\x08\x08" + _field(7, graph) + _field(8, b"\x10\x0d")


def threads(content: bytes) -> list[list[int]]:
    """What sessions say of their threads: those that leave it open, without options and with, and one that does not.

    The last runs operators in parallel. One is made anew, as for other providers.
    """
    opened = [onnxruntime.SessionOptions() for _ in range(3)]
    opened[1].intra_op_num_threads = 3
    opened[2].execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    sessions = [
        onnxruntime.InferenceSession(content),
        onnxruntime.InferenceSession(path_or_bytes=content),
        onnxruntime.InferenceSession(content, opened[0], ["CPUExecutionProvider"]),
        onnxruntime.InferenceSession(content, sess_options=opened[1]),
        onnxruntime.InferenceSession(path_or_bytes=content, sess_options=opened[2]),
    ]
    sessions[2].set_providers(["CPUExecutionProvider"])
    options = [session.get_session_options() for session in sessions]
    return [[one.intra_op_num_threads, one.inter_op_num_threads] for one in options]


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_session_has_the_threads_that_the_container_allows(workers: str, tmp_path: Path) -> None:
    model = write_model(tmp_path, threads, num_cpus=1)
    with RunningServer(model, {"CHASSIS_WORKERS": workers, "OMP_NUM_THREADS": ""}) as server:
        found = json.loads(server.run(identity()).outputs[0].output["results.json"])
    assert found == [[1, 0], [1, 0], [1, 0], [3, 0], [1, 1]]


def test_a_failed_session_is_told_by_the_models_own_lines(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, threads)) as server:
        assert not server.run(b"no model").outputs[0].success
        at = str(server.wait_event("an item failed")["at"])
    assert "onnx_threads_test.py" in at.split(", ")[0]
    assert "begin_bounded" not in at


@pytest.mark.parametrize(("given", "expected"), [("2,1", 2), ("many", 0)])
def test_the_environment_comes_first(given: str, expected: int, tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, threads), {"OMP_NUM_THREADS": given}) as server:
        found = json.loads(server.run(identity()).outputs[0].output["results.json"])
    assert found == [[expected, 0], [expected, 0], [expected, 0], [3, 0], [expected, expected]]

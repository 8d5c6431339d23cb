"""Small requests that ask for much: answers many times over, and more items than the queue holds."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from chassis.runtime import inference_pb2 as messages
from chassis.runtime import omi_pb2
from tests.hostile.server.memory import Memory
from tests.support.http_client import call
from tests.support.inference_requests import INFER, PREDICT
from tests.support.running_server import RunningServer, write_model

_MIB = 1 << 20
_BUDGET = 64 * _MIB
_QUEUE = 100
_MANY = 60_000
_INFER = "/inference.GRPCInferenceService/ModelInfer"
_RUN = "/ModzyModel/Run"
_TIMEOUT = 60.0
_SETTINGS = {"CHASSIS_MAX_INFLIGHT_BYTES": str(_BUDGET), "CHASSIS_QUEUE_SIZE": str(_QUEUE)}


def echo(content: bytes) -> str:
    """Answers with what it is asked."""
    return content.decode()


def repeat(content: bytes) -> str:
    """Answers with as many characters as it is asked for."""
    return "x" * int(content)


@pytest.fixture(params=[echo])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(write_model(tmp_path, request.param), _SETTINGS) as running:
        running.wait_health("SERVING")
        yield running
        assert running.process.poll() is None
        assert running.run(b"1").outputs[0].success


@pytest.fixture
def numbers(tmp_path: Path) -> Iterator[RunningServer]:
    """A model of tensors whose items may be empty."""
    described = write_model(tmp_path, len) / "model.json"
    document = json.loads(described.read_text())
    document["inputs"][0].update(datatype="FP32", shape=[-1])
    described.write_text(json.dumps(document))
    with RunningServer(tmp_path, _SETTINGS) as running:
        running.wait_health("SERVING")
        yield running
        assert running.process.poll() is None
        assert running.run(b"1234").outputs[0].success


def _refused(server: RunningServer, path: str, content: bytes) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        server.channel.unary_unary(path)(content, timeout=_TIMEOUT)
    return caught.value


def _tensors(content: bytes, *names: str) -> messages.ModelInferRequest:
    request = messages.ModelInferRequest(model_name="tested")
    for name in names:
        request.inputs.add(name=name, datatype="BYTES", shape=[1])
        request.raw_input_contents.append(struct.pack("<I", len(content)) + content)
    return request


def test_an_output_that_is_asked_for_many_times_is_refused_over_grpc(server: RunningServer) -> None:
    request = _tensors(b"x" * _MIB, "input")
    for _ in range(300):
        request.outputs.add(name="results.json")
    with Memory(server) as memory:
        error = _refused(server, _INFER, request.SerializeToString())
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error.details() == "output 'results.json' is asked for twice"
        assert memory.peak < _BUDGET


def test_an_output_that_is_asked_for_twice_is_refused_over_http(server: RunningServer) -> None:
    tensor = {"name": "input", "datatype": "BYTES", "shape": [1], "data": ["1"]}
    answer = call(
        server.http_port,
        "POST",
        INFER,
        {"inputs": [tensor], "outputs": [{"name": "results.json"}, {"name": "results.json"}]},
    )
    assert answer.status == 400
    assert answer.json()["error"] == "output 'results.json' is asked for twice"


def test_an_input_that_is_given_many_times_is_refused(server: RunningServer) -> None:
    error = _refused(server, _INFER, _tensors(b"x" * 100_000, *["input"] * 20).SerializeToString())
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == "input 'input' is given twice"


@pytest.mark.parametrize("server", [repeat], indirect=True)
def test_an_answer_beyond_the_budget_is_refused_before_it_is_copied(server: RunningServer) -> None:
    size = 100 * _MIB
    with Memory(server) as memory:
        error = _refused(server, _INFER, _tensors(b"%d" % size, "input").SerializeToString())
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "CHASSIS_MAX_INFLIGHT_BYTES" in (error.details() or "")
        # The model's process has it twice, the server once.
        assert memory.peak < 3.5 * size
    server.wait_event("requests are refused for want of memory")


def _empty_over_http(server: RunningServer) -> tuple[int, str]:
    tensor = {"name": "input", "datatype": "FP32", "shape": [_MANY, 0], "data": []}
    answer = call(server.http_port, "POST", INFER, {"inputs": [tensor]}, timeout=_TIMEOUT)
    return answer.status, answer.body.decode()


def _empty_over_grpc(server: RunningServer) -> tuple[int, str]:
    request = messages.ModelInferRequest(model_name="tested")
    request.inputs.add(name="input", datatype="FP32", shape=[_MANY, 0])
    error = _refused(server, _INFER, request.SerializeToString())
    return 400 if error.code() is grpc.StatusCode.INVALID_ARGUMENT else 0, error.details() or ""


def _empty_in_binary(server: RunningServer) -> tuple[int, str]:
    parameters = {"binary_data_size": 0}
    tensor = {"name": "input", "datatype": "FP32", "shape": [_MANY, 0], "parameters": parameters}
    head = json.dumps({"inputs": [tensor]}).encode()
    lengths = {"inference-header-content-length": str(len(head))}
    answer = call(server.http_port, "POST", INFER, head, lengths, _TIMEOUT)
    return answer.status, answer.body.decode()


@pytest.mark.parametrize("ask", [_empty_over_http, _empty_over_grpc, _empty_in_binary])
def test_a_tensor_of_countless_empty_items_is_refused(
    numbers: RunningServer, ask: Callable[[RunningServer], tuple[int, str]]
) -> None:
    with Memory(numbers) as memory:
        status, reason = ask(numbers)
        assert status == 400
        assert f"the request has {_MANY} items" in reason
        assert "CHASSIS_QUEUE_SIZE" in reason
        assert memory.peak < 16 * _MIB


def test_as_many_empty_items_as_the_queue_holds_are_answered(numbers: RunningServer) -> None:
    tensor = {"name": "input", "datatype": "FP32", "shape": [_QUEUE, 0], "data": []}
    answer = call(numbers.http_port, "POST", INFER, {"inputs": [tensor]}, timeout=_TIMEOUT)
    assert answer.status == 200
    assert answer.json()["outputs"][0]["data"] == ["0"] * _QUEUE
    tensor["shape"] = [_QUEUE + 1, 0]
    assert call(numbers.http_port, "POST", INFER, {"inputs": [tensor]}, timeout=_TIMEOUT).status == 400


def test_one_request_has_no_more_instances_than_the_queue_holds(server: RunningServer) -> None:
    assert call(server.http_port, "POST", PREDICT, {"instances": ["1"] * _QUEUE}).status == 200
    answer = call(server.http_port, "POST", PREDICT, {"instances": ["1"] * (_QUEUE + 1)})
    assert answer.status == 400
    assert f"the request has {_QUEUE + 1} items" in answer.json()["error"]


def test_one_run_has_no_more_inputs_than_the_queue_holds(server: RunningServer) -> None:
    assert len(server.run(*[b"1"] * _QUEUE).outputs) == _QUEUE
    many = omi_pb2.RunRequest(inputs=[omi_pb2.InputItem(input={"input": b"1"})] * (_QUEUE + 1))
    error = _refused(server, _RUN, many.SerializeToString())
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"the request has {_QUEUE + 1} items" in (error.details() or "")

"""A server in 256 MB, enforced by the kernel: whatever it accepts it answers, and what it cannot hold it refuses."""

from __future__ import annotations

import base64
import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from chassis.runtime import inference_pb2, omi_pb2
from tests.hostile.server.control_group import ControlGroup, NoControlGroupError, memory_group
from tests.support.inference_requests import INFER, PREDICT
from tests.support.running_server import RunningServer, write_model

_LIMIT = 256 << 20
_LARGE = 50_000_000
_MESSAGE = 15_000_000
"""Of gRPC an eighth of what requests may take is read, unless a setting says otherwise."""

_SOON = 10.0
_BODIES = 4
_CALLERS = 8


@pytest.fixture
def group() -> Iterator[ControlGroup]:
    try:
        with memory_group(_LIMIT) as found:
            yield found
    except NoControlGroupError as error:
        pytest.skip(f"no control group can be made here: {error}")


@pytest.fixture
def server(tmp_path: Path, group: ControlGroup) -> Iterator[RunningServer]:
    with RunningServer(write_model(tmp_path, len), prefix=group.prefix) as running:
        running.wait_health("SERVING")
        yield running
        assert group.killed() == 0
        assert running.process.poll() is None
        assert running.status().status_code == 200


def _post(server: RunningServer, path: str, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=120)
    with contextlib.suppress(BrokenPipeError):  # refused before all was sent: the answer says why
        connection.request("POST", path, body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def _v1(size: int) -> bytes:
    return b'{"instances":["' + b"x" * size + b'"]}'


def _v1_base64(size: int) -> bytes:
    return b'{"instances":[{"b64":"' + base64.b64encode(bytes(size * 3 // 4)) + b'"}]}'


def _v2(size: int) -> bytes:
    return b'{"inputs":[{"name":"input","datatype":"BYTES","shape":[1],"data":["' + b"x" * size + b'"]}]}'


@pytest.mark.parametrize(("path", "body"), [(PREDICT, _v1), (PREDICT, _v1_base64), (INFER, _v2)])
def test_an_instance_of_50_mb_is_answered_and_of_many_at_once_each_is_answered_or_refused(
    server: RunningServer, path: str, body: Callable[[int], bytes]
) -> None:
    content = body(_LARGE)
    assert _post(server, path, content)[0] == 200
    with ThreadPoolExecutor(_BODIES) as pool:
        found = [status for status, _ in pool.map(lambda _: _post(server, path, content), range(_BODIES))]
    assert set(found) <= {200, 503}, found
    assert 200 in found
    assert _post(server, path, content)[0] == 200


def test_what_can_never_be_held_is_refused_with_the_reason(server: RunningServer) -> None:
    status, content = _post(server, PREDICT, _v1(120_000_000))
    assert status == 413
    assert b"bytes" in content


@pytest.mark.parametrize("method", ["/ModzyModel/Run", "/inference.GRPCInferenceService/ModelInfer"])
def test_of_many_messages_at_once_each_is_answered_or_refused(server: RunningServer, method: str) -> None:
    if "Modzy" in method:
        item = omi_pb2.InputItem(input={"input": bytes(_MESSAGE)})
        message = omi_pb2.RunRequest(inputs=[item]).SerializeToString()
    else:
        request = inference_pb2.ModelInferRequest(model_name="tested")
        request.inputs.add(name="input", datatype="BYTES", shape=[1])
        request.raw_input_contents.append(_MESSAGE.to_bytes(4, "little") + bytes(_MESSAGE))
        message = request.SerializeToString()
    begin = threading.Barrier(_CALLERS)

    def ask(number: int) -> tuple[grpc.StatusCode, str]:
        options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"127.0.0.1:{server.port}", options) as channel:
            if number >= 0:
                begin.wait(60)
            try:
                channel.unary_unary(method)(message, timeout=120, wait_for_ready=True)
            except grpc.RpcError as error:
                return error.code(), error.details()
            return grpc.StatusCode.OK, ""

    code, details = ask(-1)
    assert code is grpc.StatusCode.OK, details
    with ThreadPoolExecutor(_CALLERS) as pool:
        found = list(pool.map(ask, range(_CALLERS)))
    codes = [code for code, _ in found]
    assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}, found
    assert grpc.StatusCode.OK in codes, found
    # Callers are told to try again later: gRPC lets go of what it held soon after its calls have ended, not at once.
    until = time.monotonic() + _SOON
    code, details = ask(-1)
    while code is grpc.StatusCode.RESOURCE_EXHAUSTED and time.monotonic() < until:
        code, details = ask(-1)
    assert code is grpc.StatusCode.OK, details

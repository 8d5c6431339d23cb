"""Memory that a large body takes at the peak, in the server and the model's process together."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Callable, Iterator

import grpc

from benchmarks.servers import peers
from benchmarks.servers.peers import Own, Place
from benchmarks.servers.running import Server
from benchmarks.serving_parts.targets import Targets
from chassis.errors import ChassisError
from chassis.runtime import inference_pb2, omi_pb2

_SIZE = 50_000_000
_PAUSE = 0.005
_TIMEOUT_S = 120
_MOST = 2.5
_MOST_BEYOND = 0.25
"""A moment of three copies may pass between two looks, of either server."""


def measure_bodies(place: Place, targets: Targets) -> None:
    """A body of 50 MB over each front end, to a model that only counts bytes, and over gRPC to nothing at all."""
    print(f"\na body of {_SIZE // 1_000_000} MB, of its size at the peak")
    floor = _floor(place)
    print(f"  {'grpcio, nothing done':24} {floor:5.2f}", flush=True)
    worst = {"HTTP": 0.0, "gRPC": 0.0}
    for name, protocol, send in _ways():
        own = peers.own(place, "size")
        with own.server:
            send(own, 1000)
            before = own.server.resident()
            with _Peak(own.server) as peak:
                send(own, _SIZE)
            ratio = (peak.bytes - before) / _SIZE
        worst[protocol] = max(worst[protocol], ratio)
        print(f"  {name:24} {ratio:5.2f}", flush=True)
    targets.at_most("memory of a body over HTTP, of its size", worst["HTTP"], _MOST)
    targets.at_most("memory of a body over gRPC, beyond grpcio's own, of its size", worst["gRPC"] - floor, _MOST_BEYOND)


def _floor(place: Place) -> float:
    """What grpcio itself takes: its stock server, which drops the message."""
    with peers.echo(place, "grpc", "sink") as server:
        _send(server.port, _OMI, b"x" * 1000)
        before = server.resident()
        with _Peak(server) as peak:
            _send(server.port, _OMI, bytes(_SIZE))
        return (peak.bytes - before) / _SIZE


class _Peak:
    """Looks at a server's memory until it is left; `bytes` is the most that was seen."""

    def __init__(self, server: Server) -> None:
        self.bytes = 0
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_PAUSE):
            self.bytes = max(self.bytes, self._server.resident())


def _ways() -> Iterator[tuple[str, str, Callable[[Own, int], None]]]:
    http, rpc = "HTTP", "gRPC"
    yield (
        "v1, a text",
        http,
        lambda own, size: _post(own, ":predict", b'{"instances":["' + b"x" * size + b'"]}', "v1"),
    )
    yield (
        "v1, base64",
        http,
        lambda own, size: _post(own, ":predict", b'{"instances":[{"b64":"' + _base64(size) + b'"}]}', "v1"),
    )
    yield (
        "v2 over HTTP, JSON",
        http,
        lambda own, size: _post(own, "/infer", _tensor(b'"data":["' + b"x" * size + b'"]')),
    )
    yield "v2 over HTTP, binary", http, _post_binary
    yield "v2 over gRPC", rpc, lambda own, size: _send(own.grpc_port, _V2, _infer(size))
    yield "OMI", rpc, lambda own, size: _send(own.grpc_port, _OMI, _run(size))


_V2 = "/inference.GRPCInferenceService/ModelInfer"
_OMI = "/ModzyModel/Run"


def _base64(size: int) -> bytes:
    return base64.b64encode(bytes(size * 3 // 4))


def _tensor(data: bytes) -> bytes:
    return b'{"inputs":[{"name":"input","datatype":"BYTES","shape":[1],' + data + b"}]}"


def _post_binary(own: Own, size: int) -> None:
    content = size.to_bytes(4, "little") + bytes(size)
    head = _tensor(b'"parameters":{"binary_data_size":%d}' % len(content))
    _post(own, "/infer", head + content, headers={"Inference-Header-Content-Length": str(len(head))})


def _post(own: Own, path: str, body: bytes, version: str = "v2", headers: dict[str, str] | None = None) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", own.http_port, timeout=_TIMEOUT_S)
    connection.request("POST", f"/{version}/models/{peers.NAME}{path}", body, headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status != 200:
        raise ChassisError(f"{path}: {answer.status} {content[:200]!r}")
    json.loads(content)


def _infer(size: int) -> bytes:
    request = inference_pb2.ModelInferRequest(model_name=peers.NAME)
    request.inputs.add(name="input", datatype="BYTES", shape=[1])
    request.raw_input_contents.append(size.to_bytes(4, "little") + bytes(size))
    return request.SerializeToString()


def _run(size: int) -> bytes:
    return omi_pb2.RunRequest(inputs=[omi_pb2.InputItem(input={"input": bytes(size)})]).SerializeToString()


def _send(port: int, method: str, message: bytes) -> None:
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        channel.unary_unary(method)(message, timeout=_TIMEOUT_S, wait_for_ready=True)

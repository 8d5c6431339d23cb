"""Tests of the Open Inference Protocol by a client that no one here wrote: tritonclient, over HTTP and gRPC."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from tests.support.running_server import RunningServer, write_model

KINDS: dict[str, ModuleType] = {"http": tritonclient.http, "grpc": tritonclient.grpc}


def lengths(inputs: list[bytes]) -> list[dict[str, int]]:
    """Answers each input with its length."""
    if b"bad" in inputs:
        raise ValueError("no good")
    if b"half" in inputs:
        raise ValueError("half a character: \ud800")
    return [{"length": len(content)} for content in inputs]


def total(items: Sequence[Mapping[str, bytes]]) -> Sequence[Mapping[str, bytes]]:
    """The sum of each row of three numbers, as FP32, and the bytes of `note` backwards."""
    return [
        {
            "sum": struct.pack("<f", sum(struct.unpack("<3f", item["row"]))),
            "count": struct.pack("<q", 3),
            "note": item["note"][::-1],
        }
        for item in items
    ]


def part(name: str, datatype: str = "BYTES", shape: Sequence[int] = ()) -> dict[str, object]:
    size = {"max_size": "", "max_bytes": None}
    return {"name": name, "media_type": "application/octet-stream", "datatype": datatype, "shape": list(shape), **size}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    model = write_model(tmp_path_factory.mktemp("bytes"), lengths, batch_size=4, max_size=1000, version="0.0.1")
    with RunningServer(model) as running:
        running.wait_health("SERVING")
        yield running


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    model = write_model(
        tmp_path_factory.mktemp("numbers"),
        total,
        batch_size=8,
        signature="mapping",
        inputs=[part("row", "FP32", [3]), part("note")],
        outputs=[part("sum", "FP32", [1]), part("count", "INT64", [-1]), part("note")],
    )
    with RunningServer(model) as running:
        running.wait_health("SERVING")
        yield running


# A process can import one library alone that defines the protocol's messages.
_DESCRIBE = """
import importlib, json, sys
from google.protobuf.descriptor_pb2 import FileDescriptorProto
file = FileDescriptorProto.FromString(importlib.import_module(sys.argv[1]).DESCRIPTOR.serialized_pb)
found = {}
def add(prefix, message):
    for field in message.field:
        found[f"{prefix}{message.name}.{field.name}"] = [field.number, field.type, field.label, field.type_name]
    for other in message.nested_type:
        add(f"{prefix}{message.name}.", other)
for message in file.message_type:
    add("", message)
for service in file.service:
    for method in service.method:
        found[method.name] = [method.input_type, method.output_type, method.client_streaming, method.server_streaming]
print(json.dumps(found))
"""


def _described(*modules: str) -> dict[str, list]:
    found: dict[str, list] = {}
    for module in modules:
        done = subprocess.run(
            [sys.executable, "-c", _DESCRIBE, module], capture_output=True, text=True, timeout=60, check=True
        )
        found |= json.loads(done.stdout)
    return found


def test_messages_and_methods_are_those_of_the_protocol() -> None:
    own = _described("chassis.runtime.inference_pb2")
    other = _described("tritonclient.grpc.service_pb2", "tritonclient.grpc.model_config_pb2")
    # Of the specification, and not of Triton.
    extra = {f"ModelMetadataResponse.{name}" for name in ("properties", "PropertiesEntry.key", "PropertiesEntry.value")}
    assert {name for name in own if name not in other} == extra
    assert {name: other[name] for name in own if name in other} == {n: own[n] for n in own if n not in extra}
    # Of Triton's configuration and statistics this server has a part; of the specification it has all.
    messages = {name.partition(".")[0] for name in own if "." in name}
    parts = {
        "ModelConfig",
        "ModelInput",
        "ModelOutput",
        "ModelInstanceGroup",
        "ModelDynamicBatching",
        "InferStatistics",
    }
    missing = {name.partition(".")[0] for name in other if name not in own} & messages
    assert missing <= parts | {"ModelStatistics"}


def client(kind: str, server: RunningServer) -> tritonclient.http.InferenceServerClient:
    port = server.http_port if kind == "http" else server.port
    return KINDS[kind].InferenceServerClient(f"127.0.0.1:{port}")


def tensor(kind: str, name: str, values: np.ndarray, datatype: str, **binary: bool) -> object:
    made = KINDS[kind].InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, **binary)
    return made


def contents(*values: bytes) -> np.ndarray:
    return np.array(values, dtype=np.object_)


@pytest.mark.parametrize("kind", KINDS)
def test_health_and_metadata(kind: str, server: RunningServer) -> None:
    with client(kind, server) as triton:
        assert triton.is_server_live()
        assert triton.is_server_ready()
        assert triton.is_model_ready("tested", "0.0.1")
        of_server, of_model = triton.get_server_metadata(), triton.get_model_metadata("tested")
        if kind == "http":
            assert "binary_tensor_data" in of_server["extensions"]
            assert of_model["inputs"] == [{"name": "input", "datatype": "BYTES", "shape": [-1]}]
        else:
            assert "binary_tensor_data" in of_server.extensions
            assert [(given.name, given.datatype, list(given.shape)) for given in of_model.inputs] == [
                ("input", "BYTES", [-1])
            ]
        with pytest.raises(InferenceServerException, match="there is no model 'other'"):
            triton.get_model_metadata("other")


@pytest.mark.parametrize(("kind", "binary"), [("http", True), ("http", False), ("grpc", None)])
def test_bytes_go_and_come(kind: str, binary: bool | None, server: RunningServer) -> None:
    chosen = {} if binary is None else {"binary_data": binary}
    given = contents(b"abc", b"", b"x" * 1000, *([b"\xff\x00"] if binary in (True, None) else [b"de"]))
    with client(kind, server) as triton:
        wanted = [KINDS[kind].InferRequestedOutput("results.json", **chosen)]
        result = triton.infer(
            "tested", [tensor(kind, "input", given, "BYTES", **chosen)], outputs=wanted, request_id="seven"
        )
    answers = [value.decode() if isinstance(value, bytes) else value for value in result.as_numpy("results.json")]
    assert answers == [f'{{"length":{size}}}' for size in (3, 0, 1000, 2)]
    response = result.get_response()
    assert (response["id"] if kind == "http" else response.id) == "seven"


@pytest.mark.parametrize(("kind", "binary"), [("http", True), ("http", False), ("grpc", None)])
def test_numeric_tensors_of_a_mapping_model(kind: str, binary: bool | None, numbers: RunningServer) -> None:
    chosen = {} if binary is None else {"binary_data": binary}
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    with client(kind, numbers) as triton:
        result = triton.infer(
            "tested",
            [
                tensor(kind, "row", rows, "FP32", **chosen),
                tensor(kind, "note", contents(b"ab", b"cd"), "BYTES", **chosen),
            ],
            outputs=[KINDS[kind].InferRequestedOutput(name, **chosen) for name in ("sum", "count", "note")],
        )
    assert result.as_numpy("sum").tolist() == [[3.0], [12.0]]
    assert result.as_numpy("sum").dtype == np.float32
    assert result.as_numpy("count").tolist() == [[3], [3]]
    assert [bytes(value) if isinstance(value, bytes) else value.encode() for value in result.as_numpy("note")] == [
        b"ba",
        b"dc",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_metadata_shows_declared_tensors(kind: str, numbers: RunningServer) -> None:
    with client(kind, numbers) as triton:
        found = triton.get_model_metadata("tested", **({} if kind == "http" else {"as_json": True}))
    described = [
        (part["name"], part["datatype"], [int(length) for length in part["shape"]])
        for part in found["inputs"] + found["outputs"]
    ]
    assert described == [
        ("row", "FP32", [-1, 3]),
        ("note", "BYTES", [-1]),
        ("sum", "FP32", [-1, 1]),
        ("count", "INT64", [-1, -1]),
        ("note", "BYTES", [-1]),
    ]


DTYPES = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}


def test_every_datatype_goes_and_comes_whole(tmp_path: Path) -> None:
    def echo(items: Sequence[Mapping[str, bytes]]) -> Sequence[Mapping[str, bytes]]:
        return items

    parts = [part(datatype.lower(), datatype, [2, -1]) for datatype in DTYPES]
    model = write_model(tmp_path, echo, batch_size=8, signature="mapping", inputs=parts, outputs=parts)
    with RunningServer(model) as running:
        running.wait_health("SERVING")
        for kind, binary in (("http", True), ("http", False), ("grpc", None)):
            for datatype, dtype in DTYPES.items():
                if (datatype, binary) == ("FP16", False):
                    continue  # tritonclient sends FP16 in binary alone.
                chosen = {} if binary is None else {"binary_data": binary}
                given = np.arange(18).reshape(3, 2, 3).astype(dtype)
                with client(kind, running) as triton:
                    wanted = [KINDS[kind].InferRequestedOutput(datatype.lower(), **chosen)]
                    sent = [tensor(kind, datatype.lower(), given, datatype, **chosen)]
                    found = triton.infer("tested", sent, outputs=wanted).as_numpy(datatype.lower())
                assert found.dtype == dtype
                assert found.tolist() == given.tolist()


def test_items_whose_sizes_differ_are_no_one_tensor(tmp_path: Path) -> None:
    def head(item: Mapping[str, bytes]) -> Mapping[str, bytes]:
        return {"out": item["in"][: 4 * item["in"][0]]}

    model = write_model(
        tmp_path, head, signature="mapping", inputs=[part("in", "INT32", [4])], outputs=[part("out", "INT32", [-1])]
    )
    rows = np.array([[1, 0, 0, 0], [3, 7, 8, 9]], np.int32)
    with RunningServer(model) as running, client("http", running) as triton:
        running.wait_health("SERVING")
        with pytest.raises(InferenceServerException, match="4 bytes for item 0 and 12 for item 1"):
            triton.infer("tested", [tensor("http", "in", rows, "INT32")])
        result = triton.infer("tested", [tensor("http", "in", rows[1:], "INT32")])
        assert result.as_numpy("out").tolist() == [[3, 7, 8]]


@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_what_the_client_expects(kind: str, server: RunningServer, numbers: RunningServer) -> None:
    with client(kind, server) as triton:
        for given, reason in (
            (contents(b"a", b"bad"), "item 1: ValueError: no good"),
            (contents(b"half"), r"ValueError: half a character: \?"),
            (contents(b"x" * 1001), "more than its max_size 1000"),
        ):
            with pytest.raises(InferenceServerException, match=reason):
                triton.infer("tested", [tensor(kind, "input", given, "BYTES")])
        with pytest.raises(InferenceServerException, match="is of BYTES, not FP32"):
            triton.infer("tested", [tensor(kind, "input", np.zeros(1, np.float32), "FP32")])
    with client(kind, numbers) as triton:
        rows, notes = tensor(kind, "row", np.zeros((2, 4), np.float32), "FP32"), contents(b"a", b"b")
        with pytest.raises(InferenceServerException, match=r"has shape \[-1, 3\]"):
            triton.infer("tested", [rows, tensor(kind, "note", notes, "BYTES")])
        rows = tensor(kind, "row", np.zeros((3, 3), np.float32), "FP32")
        with pytest.raises(InferenceServerException, match="have 3 and 2 items"):
            triton.infer("tested", [rows, tensor(kind, "note", notes, "BYTES")])


def test_a_full_queue_is_resource_exhausted(tmp_path: Path) -> None:
    def slow(content: bytes) -> int:
        time.sleep(0.4)
        return 1

    with RunningServer(write_model(tmp_path, slow), {"CHASSIS_QUEUE_SIZE": "1"}) as server:
        server.wait_health("SERVING")

        def ask(_: int) -> str:
            with client("grpc", server) as triton:
                try:
                    triton.infer("tested", [tensor("grpc", "input", contents(b"x"), "BYTES")])
                except InferenceServerException as error:
                    return error.status()
            return "OK"

        with ThreadPoolExecutor(6) as pool:
            codes = list(pool.map(ask, range(6)))
    assert codes.count("StatusCode.RESOURCE_EXHAUSTED") >= 3
    assert codes.count("OK") >= 1


def test_sigterm_drains_the_protocol_over_grpc(tmp_path: Path) -> None:
    def slow(content: bytes) -> int:
        time.sleep(0.5)
        return len(content)

    with RunningServer(write_model(tmp_path, slow)) as server:
        server.wait_health("SERVING")
        with client("grpc", server) as triton, ThreadPoolExecutor(1) as pool:
            call = pool.submit(triton.infer, "tested", [tensor("grpc", "input", contents(b"abc"), "BYTES")])
            until = time.monotonic() + 0.2
            while time.monotonic() < until:
                server.status()
            server.signal(signal.SIGTERM)
            assert call.result().as_numpy("results.json").tolist() == [b"3"]
        assert server.wait_end() == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests_and_answers(kind: str, algorithm: str, server: RunningServer) -> None:
    values = np.array([b"x" * 900] * 60, dtype=np.object_)
    given = tensor(kind, "input", values, "BYTES")
    options = {"compression_algorithm": algorithm}
    if kind == "http":
        options = {"request_compression_algorithm": algorithm, "response_compression_algorithm": algorithm}
    with client(kind, server) as found:
        answer = found.infer("tested", [given], **options)
    assert [json.loads(element)["length"] for element in answer.as_numpy("results.json")] == [900] * 60


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_served_is_refused_in_both(kind: str, server: RunningServer) -> None:
    given = tensor(kind, "input", np.array([b"a"], dtype=np.object_), "BYTES")
    with client(kind, server) as found:
        classified = KINDS[kind].InferRequestedOutput("results.json", class_count=2)
        with pytest.raises(InferenceServerException, match="classification needs numbers, it is of BYTES"):
            found.infer("tested", [given], outputs=[classified])
        shared = KINDS[kind].InferInput("input", [1], "BYTES")
        shared.set_shared_memory("region", 10)
        with pytest.raises(InferenceServerException, match="does not support the parameter 'shared_memory_"):
            found.infer("tested", [shared])
        assert not found.is_model_ready("other")
        assert not found.is_model_ready("tested", "9")


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_of_0_along_a_varying_dimension(kind: str, tmp_path: Path) -> None:
    def sizes(item: Mapping[str, bytes]) -> Mapping[str, bytes]:
        return {"same": item["many"]}

    model = write_model(
        tmp_path,
        sizes,
        signature="mapping",
        inputs=[part("many", "FP16", [-1, 2])],
        outputs=[part("same", "FP16", [-1, 2])],
    )
    with RunningServer(model) as running, client(kind, running) as found:
        running.wait_health("SERVING")
        for count in (0, 3):
            values = np.arange(count * 2, dtype=np.float16).reshape(1, count, 2)
            given = tensor(kind, "many", values, "FP16")
            answer = found.infer("tested", [given])
            assert answer.as_numpy("same").tolist() == values.tolist()

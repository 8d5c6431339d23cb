"""Tests of a running server: what is answered over HTTP, by Python's own client."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.http_client import call
from tests.support.inference_requests import INFER, PREDICT, TENSOR, infer, predict
from tests.support.length_model import lengths, serving_lengths
from tests.support.running_server import RunningServer, write_model


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving_lengths(tmp_path_factory.mktemp("model")) as running:
        yield running


def test_v2_answers_every_item_in_order(server: RunningServer) -> None:
    answer = infer(server, "a", "bcd", "", id="seven")
    assert answer.status == 200
    document = answer.json()
    assert (document["model_name"], document["model_version"], document["id"]) == ("tested", "0.0.1", "seven")
    (output,) = document["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("results.json", "BYTES", [3])
    assert [json.loads(element)["length"] for element in output["data"]] == [1, 3, 0]


def test_v1_takes_base64_text_and_json(server: RunningServer) -> None:
    encoded = {"b64": base64.b64encode(b"\xff\x00").decode()}
    answer = predict(server, encoded, "text", [1, 2], {"input": encoded}, {"other": 1})
    assert [prediction["length"] for prediction in answer.json()["predictions"]] == [2, 4, 5, 2, 11]


def test_health_metadata_and_names(server: RunningServer) -> None:
    port = server.http_port
    assert "binary_tensor_data" in call(port, "GET", "/v2").json()["extensions"]
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/tested/ready", "/v1/models/tested"):
        assert call(port, "GET", path).status == 200
    assert call(port, "HEAD", "/v2/health/ready").body == b""
    metadata = call(port, "GET", "/v2/models/tested/versions/0.0.1").json()
    assert metadata["inputs"] == [{"name": "input", "datatype": "BYTES", "shape": [-1]}]
    assert call(port, "GET", "/v1/models").json() == {"models": ["tested"]}
    other = call(port, "GET", "/v2/models/other")
    assert (other.status, other.json()) == (404, {"error": "there is no model 'other', this server has 'tested'"})
    assert "no version '2'" in call(port, "GET", "/v2/models/tested/versions/2").json()["error"]
    assert call(port, "GET", "/").json() == {"status": "alive"}
    assert call(port, "GET", "/v2/").json() == call(port, "GET", "/v2").json()
    assert call(port, "GET", "/v2/models").json() == {"models": ["tested"]}
    assert call(port, "GET", "/nothing").status == 404
    refused = call(port, "GET", INFER)
    assert (refused.status, refused.headers["allow"]) == (405, "OPTIONS, POST")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[]", "not a JSON object"),
        (b"[" * 50_000, "nested too deeply"),
        (b'{"inputs": NaN}', "not JSON"),
        ({}, "expected a list of tensors"),
        ({"inputs": []}, "the request has no inputs"),
        ({"inputs": [{}]}, "a tensor has a name"),
        ({"inputs": [{**TENSOR, "datatype": "STRING"}]}, "datatype is one of BYTES, BOOL"),
        ({"inputs": [{**TENSOR, "datatype": "FP32", "data": [1]}]}, "is of BYTES, not FP32"),
        ({"inputs": [{**TENSOR, "shape": 1}]}, "its shape is a list of sizes"),
        ({"inputs": [{**TENSOR, "shape": [0], "data": []}]}, "its shape is a list of sizes"),
        ({"inputs": [{**TENSOR, "shape": [2]}]}, "1 elements, expected 2 for shape [2]"),
        ({"inputs": [{**TENSOR, "shape": [1, 2], "data": ["a", "b"]}]}, "expected one: shape [n] or [n, 1]"),
        ({"inputs": [{**TENSOR, "data": [1]}]}, "an element of BYTES is a string"),
        ({"inputs": [{**TENSOR, "data": ["\ud800"]}]}, "not text that UTF-8 can express"),
        ({"inputs": [{**TENSOR, "data": [["a"], "b"]}]}, "data[1] is not as long as the lists beside it"),
        ({"inputs": [{**TENSOR, "name": "image"}]}, "there is no input 'image', the model has 'input'"),
        ({"inputs": [TENSOR, TENSOR]}, "given twice"),
        ({"inputs": [TENSOR], "outputs": [{"name": "x"}]}, "there is no output 'x'"),
        ({"inputs": [TENSOR], "id": 7}, "id: expected a string"),
        ({"inputs": [{**TENSOR, "parameters": {"binary_data_size": 5}}]}, "binary_data_size 5, 0 bytes are left"),
        ({"inputs": [{**TENSOR, "parameters": {"shared_memory_region": "x"}}]}, "does not support"),
    ],
)
def test_a_malformed_v2_request_is_a_400_with_the_reason(server: RunningServer, body: object, reason: str) -> None:
    answer = call(server.http_port, "POST", INFER, body)
    assert answer.status == 400
    assert reason in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "instances: expected a list"),
        ({"instances": []}, "instances: expected a list of at least one"),
        ({"instances": [{"b64": "?"}]}, "instances, 0: neither"),
        ({"instances": ["a", {"b64": 5}]}, "instances, 1: neither"),
    ],
)
def test_a_malformed_v1_request_is_a_400_with_the_reason(server: RunningServer, body: object, reason: str) -> None:
    answer = call(server.http_port, "POST", PREDICT, body)
    assert answer.status == 400
    assert reason in answer.json()["error"]


def test_an_item_that_the_model_cannot_process_is_422_and_named(server: RunningServer) -> None:
    for answer in (infer(server, "a", "bad"), predict(server, "a", "bad")):
        assert (answer.status, answer.json()) == (422, {"error": "item 1: ValueError: no good"})


def test_a_model_that_breaks_its_promise_is_500_without_a_trace(server: RunningServer) -> None:
    answer = infer(server, "short")
    assert answer.status == 500
    assert answer.json()["error"] == "the batch function returned 0 results for 1 inputs, expected one for each"


def test_max_size_is_413_with_the_name_and_both_sizes(server: RunningServer) -> None:
    answer = infer(server, "x" * 1001)
    assert answer.status == 413
    assert answer.json()["error"] == "input 'input' has 1001 bytes, more than its max_size 1000 (1000 bytes)"


def test_a_compressed_body_is_415(server: RunningServer) -> None:
    assert call(server.http_port, "POST", INFER, b"x", {"content-encoding": "br"}).status == 415


def test_waiting_items_of_every_front_end_share_a_batch(server: RunningServer) -> None:
    with ThreadPoolExecutor(4) as pool:
        busy = pool.submit(infer, server, "pause")
        until = time.monotonic() + 0.1
        while time.monotonic() < until:
            server.status()
        over_v2, over_v1 = pool.submit(infer, server, "xx"), pool.submit(predict, server, "yyy")
        over_grpc = pool.submit(server.run, b"zzzz")
        busy.result()
        batches = [
            json.loads(over_v2.result().json()["outputs"][0]["data"][0])["batch"],
            over_v1.result().json()["predictions"][0]["batch"],
            json.loads(over_grpc.result().outputs[0].output["results.json"])["batch"],
        ]
    assert batches == [3, 3, 3]


def test_only_chosen_front_ends_are_served(tmp_path: Path) -> None:
    model = write_model(tmp_path, lengths, batch_size=2)
    with RunningServer(model, {"CHASSIS_SERVERS": "v1-http", "MODEL_NAME": "renamed"}) as server:
        assert server.port == 0
        path = "/v1/models/renamed:predict"
        answer = call(server.http_port, "POST", path, {"instances": ["a"]})
        assert answer.json()["predictions"][0]["length"] == 1
        assert call(server.http_port, "GET", "/v2/models/renamed").status == 404
        assert call(server.http_port, "GET", "/v2/health/live").status == 200
        assert set(call(server.http_port, "GET", "/openapi.json").json()["paths"]) == {
            "/",
            "/v1/models",
            "/v1/models/renamed",
            path,
            "/v2/health/live",
            "/v2/health/ready",
            "/metrics",
            "/openapi.json",
        }
    with RunningServer(model, {"CHASSIS_SERVERS": "omi"}) as server:
        assert server.http_port == 0
        assert server.run(b"a").outputs[0].success


def test_what_is_not_served_is_not_imported(tmp_path: Path) -> None:
    def loaded(content: bytes) -> list[str]:
        import sys

        return sorted({"grpc", "grpc_reflection.v1alpha", "httptools", "google.protobuf"} & set(sys.modules))

    model = write_model(tmp_path, loaded)
    with RunningServer(model, {"CHASSIS_SERVERS": "v2-http", "CHASSIS_WORKERS": "0"}) as server:
        assert json.loads(infer(server, "").json()["outputs"][0]["data"][0]) == ["httptools"]
    with RunningServer(model, {"CHASSIS_SERVERS": "omi", "CHASSIS_WORKERS": "0"}) as server:
        assert json.loads(server.run(b"").outputs[0].output["results.json"]) == ["google.protobuf", "grpc"]


def test_outputs_of_a_mapping_model(tmp_path: Path) -> None:
    def both(item: Mapping[str, bytes]) -> Mapping[str, bytes]:
        return {"results.json": b'{"a":1}', "raw": item["input"]}

    with RunningServer(write_model(tmp_path, both, signature="mapping")) as server:
        server.wait_health("SERVING")
        answer = predict(server, {"b64": base64.b64encode(b"\xff").decode()})
        assert answer.json() == {"predictions": [{"results.json": {"a": 1}, "raw": {"b64": "/w=="}}]}
        encoded = {**TENSOR, "data": ["/w=="], "parameters": {"content_type": "base64"}}
        json_output, raw = call(server.http_port, "POST", INFER, {"inputs": [encoded]}).json()["outputs"]
        assert json_output["data"] == ['{"a":1}']
        assert (raw["data"], raw["parameters"]) == (["/w=="], {"content_type": "base64"})


def test_declared_tensors_are_nested_lists_in_v1_and_checked(tmp_path: Path) -> None:
    def double(item: Mapping[str, bytes]) -> Mapping[str, bytes]:
        values = struct.unpack("<4i", item["grid"])
        length = struct.unpack("<q", item["length"])[0]
        return {"grid": struct.pack("<4i", *[value * 2 for value in values]), "many": bytes(length)}

    limit = {"media_type": "application/octet-stream", "max_size": "", "max_bytes": None}
    grid = {"name": "grid", "datatype": "INT32", "shape": [2, 2], **limit}
    length = {"name": "length", "datatype": "INT64", "shape": [], **limit}
    many = {"name": "many", "datatype": "FP16", "shape": [-1], **limit}
    model = write_model(tmp_path, double, signature="mapping", inputs=[grid, length], outputs=[grid, many])
    with RunningServer(model) as server:
        server.wait_health("SERVING")
        encoded = {"b64": base64.b64encode(struct.pack("<4i", 5, 6, 7, 8)).decode()}
        answer = predict(server, {"grid": [[1, 2], [3, 4]], "length": 4}, {"grid": encoded, "length": 0})
        assert answer.json() == {
            "predictions": [
                {"grid": [[2, 4], [6, 8]], "many": [0.0, 0.0]},
                {"grid": [[10, 12], [14, 16]], "many": []},
            ]
        }
        for given, status, reason in (
            (
                {"grid": [[1, 2], [3]], "length": 0},
                400,
                "instances, 0: input 'grid': expected numbers in lists of shape",
            ),
            ({"grid": [1, 2, 3, 4], "length": 0}, 400, "lists of shape [2, 2]"),
            ({"grid": [[1, 2], [3, 0.5]], "length": 0}, 400, "element 3 is not of INT32"),
            ({"grid": {"b64": "AAAA"}, "length": 0}, 400, "input 'grid' has 3 bytes, which are not INT32[2,2]"),
            ({"grid": encoded, "length": 3}, 500, "output 'many' has 3 bytes, which are not FP16[-1]"),
        ):
            refused = predict(server, given)
            assert (refused.status, reason in refused.json()["error"]) == (status, True), refused
        item = server.run({"grid": b"123", "length": bytes(8)}).outputs[0]
        assert item.output["error"] == b"input 'grid' has 3 bytes, which are not INT32[2,2]"


def _part(name: str, datatype: str, shape: list[int]) -> dict[str, object]:
    limit = {"media_type": "application/octet-stream", "max_size": "", "max_bytes": None}
    return {"name": name, "datatype": datatype, "shape": shape, **limit}


@pytest.fixture(scope="module")
def grids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    def same(item: Mapping[str, bytes]) -> Mapping[str, bytes]:
        return {"same": next(iter(item.values()))}

    model = write_model(
        tmp_path_factory.mktemp("grids"),
        same,
        signature="mapping",
        inputs=[_part("grid", "FP32", [2, 2]), _part("half", "BF16", [-1])],
        outputs=[_part("same", "BF16", [-1])],
    )
    with RunningServer(model, {"CHASSIS_CORS_ORIGINS": "https://a.example, https://b.example:8443"}) as running:
        running.wait_health("SERVING")
        yield running


@pytest.mark.parametrize(
    "fields",
    [
        {"id": None},
        {"parameters": None},
        {"outputs": None},
        {"outputs": [{"name": "results.json", "parameters": None}]},
        {"outputs": [{"name": "results.json", "parameters": {"binary_data": None, "classification": None}}]},
        {"parameters": {"binary_data_output": None}},
        {"inputs": [{**TENSOR, "parameters": None}]},
        {"inputs": [{**TENSOR, "parameters": {"content_type": None, "binary_data_size": None}}]},
    ],
)
def test_null_counts_as_left_out(server: RunningServer, fields: dict[str, object]) -> None:
    answer = call(server.http_port, "POST", INFER, {"inputs": [TENSOR], **fields})
    assert answer.status == 200, answer
    assert "id" not in answer.json()


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "reason"),
    [
        ("FP32", [1, 2, 2], "[1, 2, 3, 1e999]", "element 3 is out of the range of FP32"),
        ("FP32", [1, 2, 2], "[1, 1e39, 3, 4]", "element 1 is out of the range of FP32"),
        ("FP32", [1, 2, 2], "[[[1, 2], [3, NaN]]]", "not JSON: NaN at line 1, column"),
        ("FP32", [1, 2, 2], "[[[1, 2], [3]]]", "data[0][1] is not as long as the lists beside it"),
        ("FP32", [1, 2, 2], "[[[1, 2, 3, 4]]]", "its data has shape [1, 1, 4], expected [1, 2, 2]"),
        ("FP32", [1, 2, 2], "[[[1, 2], [3, true]]]", "element 3 is not of FP32"),
        ("BF16", [1, 1], "[3.4e38]", "element 0 is out of the range of BF16"),
        ("BF16", [1, 1], '["x"]', "element 0 is not of BF16"),
    ],
)
def test_numbers_that_do_not_fit_are_named_with_their_place(
    grids: RunningServer, datatype: str, shape: list[int], data: str, reason: str
) -> None:
    name = "grid" if datatype == "FP32" else "half"
    tensor = {"name": name, "datatype": datatype, "shape": shape}
    body = json.dumps({"inputs": [tensor]})[:-3] + f', "data": {data}}}]}}'
    answer = call(grids.http_port, "POST", INFER, body.encode())
    assert answer.status == 400
    assert reason in answer.json()["error"]


def test_an_instance_that_overflows_is_a_400_with_its_place(server: RunningServer, grids: RunningServer) -> None:
    answer = call(server.http_port, "POST", PREDICT, b'{"instances": ["a", {"x": 1e999}]}')
    assert (answer.status, "instances, 1" in answer.json()["error"]) == (400, True)
    answer = call(grids.http_port, "POST", PREDICT, b'{"instances": [{"grid": [[1, 2], [3, -1e400]]}]}')
    assert (answer.status, "instances, 0: input 'grid': element 3" in answer.json()["error"]) == (400, True)


def test_bf16_is_the_upper_half_of_fp32_rounded_to_the_nearest(grids: RunningServer) -> None:
    given = [1.0, -2.5, 1.00390625, 1.01171875, 3.140625, 0.0, 1e-40]
    tensor = {"name": "half", "datatype": "BF16", "shape": [1, len(given)], "data": given}
    (output,) = call(grids.http_port, "POST", INFER, {"inputs": [tensor]}).json()["outputs"]
    assert output["data"][:6] == [1.0, -2.5, 1.0, 1.015625, 3.140625, 0.0]
    nothing = {**tensor, "shape": [1, 0], "data": []}
    (output,) = call(grids.http_port, "POST", INFER, {"inputs": [nothing]}).json()["outputs"]
    assert (output["shape"], output["data"]) == ([1, 0], [])


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate"])
def test_compressed_bodies_are_read_on_both_protocols(server: RunningServer, coding: str) -> None:
    pack = zlib.compress if coding == "deflate" else gzip.compress
    for path, body in ((PREDICT, {"instances": ["abc"]}), (INFER, {"inputs": [TENSOR]})):
        answer = call(server.http_port, "POST", path, pack(json.dumps(body).encode()), {"content-encoding": coding})
        assert answer.status == 200, answer
    bomb = pack(b'{"instances":["' + b"x" * 10_000_000 + b'"]}')
    assert call(server.http_port, "POST", PREDICT, bomb, {"content-encoding": coding}).status == 413
    cut = pack(json.dumps({"instances": ["abc"]}).encode())[:-5]
    assert call(server.http_port, "POST", PREDICT, cut, {"content-encoding": coding}).status == 400


@pytest.mark.parametrize("path", [PREDICT, INFER])
def test_other_codings_are_415_and_told_which_do(server: RunningServer, path: str) -> None:
    answer = call(server.http_port, "POST", path, b"x", {"content-encoding": "br"})
    assert (answer.status, answer.headers["accept-encoding"]) == (415, "gzip, deflate")


def test_answers_are_compressed_where_asked_and_worth_it(server: RunningServer) -> None:
    many = {"instances": ["x" * 10] * 400}
    plain = call(server.http_port, "POST", PREDICT, many)
    assert "content-encoding" not in plain.headers
    packed = call(server.http_port, "POST", PREDICT, many, {"accept-encoding": "br, gzip"})
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert len(packed.body) < len(plain.body) / 4
    assert len(json.loads(gzip.decompress(packed.body))["predictions"]) == 400
    small = call(server.http_port, "POST", PREDICT, {"instances": ["x"]}, {"accept-encoding": "gzip"})
    assert "content-encoding" not in small.headers


def test_pages_of_chosen_origins_alone_may_read_answers(server: RunningServer, grids: RunningServer) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    preflight = call(grids.http_port, "OPTIONS", PREDICT, headers={"origin": "https://b.example:8443", **asked})
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == "https://b.example:8443"
    assert preflight.headers["access-control-allow-methods"] == "OPTIONS, POST"
    assert preflight.headers["access-control-allow-headers"] == "content-type"
    answer = call(grids.http_port, "GET", "/v2", headers={"origin": "https://a.example"})
    assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == ("https://a.example", "Origin")
    for running, origin in ((grids, "https://evil.example"), (grids, "null"), (server, "https://a.example")):
        answer = call(running.http_port, "OPTIONS", PREDICT, headers={"origin": origin, **asked})
        assert "access-control-allow-origin" not in answer.headers

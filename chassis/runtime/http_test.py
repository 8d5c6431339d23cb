"""Tests of a running server over HTTP, by Python's own client and by bytes that no client sends."""

from __future__ import annotations

import base64
import http.client
import json
import random
import signal
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chassis.runtime import omi_pb2
from chassis.testing.http_client import HttpAnswer, call, send_raw
from chassis.testing.running_server import RunningServer, ServerEndedError, write_model

INFER = "/v2/models/tested/infer"
PREDICT = "/v1/models/tested:predict"


def lengths(inputs: list[bytes]) -> list[dict[str, int]]:
    """Answers each input with its length and that of its batch; some inputs do something else."""
    if b"pause" in inputs:
        time.sleep(0.3)
    if b"bad" in inputs:
        raise ValueError("no good")
    if b"short" in inputs:
        return []
    return [{"length": len(content), "batch": len(inputs)} for content in inputs]


def slow(content: bytes) -> str:
    """Answers with its input after half a second."""
    time.sleep(0.5)
    return content.decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    model = write_model(tmp_path_factory.mktemp("model"), lengths, batch_size=4, max_size=1000, version="0.0.1")
    with RunningServer(model, {"CHASSIS_MAX_REQUEST_BYTES": "100000"}) as running:
        running.wait_health("SERVING")
        yield running


def infer(server: RunningServer, *contents: str, **fields: object) -> HttpAnswer:
    tensor = {"name": "input", "datatype": "BYTES", "shape": [len(contents)], "data": list(contents)}
    return call(server.http_port, "POST", INFER, {"inputs": [tensor], **fields})


def predict(server: RunningServer, *instances: object) -> HttpAnswer:
    return call(server.http_port, "POST", PREDICT, {"instances": list(instances)})


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
    assert call(port, "GET", "/v2").json()["extensions"] == ["binary_tensor_data"]
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/tested/ready", "/v1/models/tested"):
        assert call(port, "GET", path).status == 200
    assert call(port, "HEAD", "/v2/health/ready").body == b""
    metadata = call(port, "GET", "/v2/models/tested/versions/0.0.1").json()
    assert metadata["inputs"] == [{"name": "input", "datatype": "BYTES", "shape": [-1]}]
    assert call(port, "GET", "/v1/models").json() == {"models": ["tested"]}
    other = call(port, "GET", "/v2/models/other")
    assert (other.status, other.json()) == (404, {"error": "there is no model 'other', this server has 'tested'"})
    assert "no version '2'" in call(port, "GET", "/v2/models/tested/versions/2").json()["error"]
    assert call(port, "GET", "/").status == 404
    refused = call(port, "GET", INFER)
    assert (refused.status, refused.headers["allow"]) == (405, "POST")


TENSOR = {"name": "input", "datatype": "BYTES", "shape": [1], "data": ["a"]}


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
        ({"inputs": [{**TENSOR, "shape": 1}]}, "a list of positive integers"),
        ({"inputs": [{**TENSOR, "shape": [0], "data": []}]}, "a list of positive integers"),
        ({"inputs": [{**TENSOR, "shape": [2]}]}, "1 elements, expected 2 for shape [2]"),
        ({"inputs": [{**TENSOR, "shape": [1, 2], "data": ["a", "b"]}]}, "expected one: shape [n] or [n, 1]"),
        ({"inputs": [{**TENSOR, "data": [1]}]}, "an element of BYTES is a string"),
        ({"inputs": [{**TENSOR, "data": ["\ud800"]}]}, "not text that UTF-8 can express"),
        ({"inputs": [{**TENSOR, "data": [["a"], "b"]}]}, "nested unevenly"),
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


def test_a_body_above_the_limit_is_413_with_length_and_without(server: RunningServer) -> None:
    answer = call(server.http_port, "POST", INFER, b"x" * 100_001)
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    head = b"POST /v2/models/tested/infer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    received = send_raw(server.http_port, head + b"10000\r\n" + b"x" * 65536 + b"\r\n10000\r\n" + b"x" * 65536)
    assert received.startswith(b"HTTP/1.1 413 ")


def test_a_compressed_body_is_415(server: RunningServer) -> None:
    assert call(server.http_port, "POST", INFER, b"x", {"content-encoding": "br"}).status == 415


def test_chunks_and_pipelined_requests_are_answered_in_order(server: RunningServer) -> None:
    def request(content: str) -> bytes:
        body = json.dumps({"instances": [content]}).encode()
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:5], body[5:]))
        return b"POST /v1/models/tested:predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"

    last = b"GET /v2/health/live HTTP/1.1\r\nconnection: close\r\n\r\n"
    received = send_raw(server.http_port, request("pause") + b"".join(request("x" * n) for n in range(40)) + last)
    assert received.count(b"HTTP/1.1 200 OK") == 42
    found = [int(part.split(b",")[0]) for part in received.split(b'"length":')[1:]]
    assert found == [5, *range(40)]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"HELLO\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % number for number in range(300)) + b"\r\n", 431),
        (b"GET /%ff HTTP/1.1\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ],
)
def test_what_is_no_http_is_refused_and_the_connection_closed(
    server: RunningServer, content: bytes, status: int
) -> None:
    assert send_raw(server.http_port, content).startswith(b"HTTP/1.1 %d " % status)
    assert call(server.http_port, "GET", "/v2/health/live").status == 200


def test_malformed_requests_leave_it_serving(server: RunningServer) -> None:
    """Well-formed requests with bytes changed at random, ten on a connection: an answer or a closed connection."""
    chosen = random.Random(4)
    before = len(server.events)
    body = json.dumps({"inputs": [TENSOR]}).encode()
    good = b"POST /v2/models/tested/infer HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    for _ in range(300):
        content = bytearray(good * 10)
        for _ in range(chosen.randint(1, 8)):
            content[chosen.randrange(len(content))] = chosen.randrange(256)
        received = send_raw(server.http_port, bytes(content), timeout=0.02)
        assert b"HTTP/1.1 5" not in received.replace(b"HTTP/1.1 501", b"")
        assert b"Traceback" not in received
    assert infer(server, "a").status == 200
    assert not [event for event in server.events[before:] if event.get("message") == "a request failed"]


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


def test_request_ids_and_traces_come_back_and_are_logged(server: RunningServer) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    body = {"instances": ["bad"]}
    answer = call(server.http_port, "POST", PREDICT, body, {"x-request-id": "mine-http", "traceparent": traceparent})
    assert (answer.headers["x-request-id"], answer.headers["traceparent"]) == ("mine-http", traceparent)
    event = server.wait_event("an item failed", lambda event: event.get("request_id") == "mine-http")
    assert event["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    run = server.omi.Run.with_call(
        omi_pb2.RunRequest(inputs=[omi_pb2.InputItem(input={"input": b"bad"})]),
        metadata=[("x-request-id", "mine-grpc"), ("traceparent", traceparent)],
        timeout=20,
    )[1]
    assert dict(run.trailing_metadata()) == {"x-request-id": "mine-grpc", "traceparent": traceparent}
    server.wait_event("an item failed", lambda event: event.get("request_id") == "mine-grpc")
    malformed = call(server.http_port, "GET", "/v2", headers={"traceparent": "00-0-0-0", "x-request-id": "a b"})
    assert "traceparent" not in malformed.headers
    assert len(malformed.headers["x-request-id"]) == 16


def test_metrics_are_read_by_the_stock_parser(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, lengths, batch_size=4, max_size=100)) as server:
        server.wait_health("SERVING")
        infer(server, "a", "b", "c")
        infer(server, "x" * 101)
        predict(server, "bad")
        server.run(b"x")
        answer = call(server.http_port, "GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    samples = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families.values()
        for sample in family.samples
    }

    def value(name: str, **labels: str) -> float:
        return samples[name, frozenset(labels.items())]

    assert value("chassis_ready") == 1
    assert value("chassis_queue_items") == 0
    assert value("chassis_requests_total", protocol="v2-http", code="200") == 1
    assert value("chassis_requests_total", protocol="v2-http", code="413") == 1
    assert value("chassis_requests_total", protocol="v1-http", code="422") == 1
    assert value("chassis_requests_total", protocol="omi", code="OK") == 1
    assert value("chassis_items_total") == 6
    assert value("chassis_item_errors_total", kind="too_large") == 1
    assert value("chassis_item_errors_total", kind="model") == 1
    assert value("chassis_batch_items_sum") == 5
    assert value("chassis_queue_seconds_count") == 5
    assert value("chassis_request_seconds_count", protocol="v2-http") == 2
    assert value("process_resident_memory_bytes") > 10_000_000


def test_a_full_queue_is_503_with_retry_after_at_once(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, slow), {"CHASSIS_QUEUE_SIZE": "2"}) as server:
        server.wait_health("SERVING")
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: infer(server, "x"), range(8)))
    codes = [answer.status for answer in answers]
    assert codes.count(503) >= 4
    assert codes.count(200) >= 2
    refused = next(answer for answer in answers if answer.status == 503)
    assert int(refused.headers["retry-after"]) >= 1
    assert "the queue holds 2" in refused.json()["error"]


def test_a_call_that_outlasts_run_timeout_is_504_and_it_is_not_ready_meanwhile(tmp_path: Path) -> None:
    def sleepy(content: bytes) -> int:
        time.sleep(float(content))
        return 1

    with RunningServer(write_model(tmp_path, sleepy, run_timeout=0.3)) as server:
        server.wait_health("SERVING")
        assert infer(server, "1.5").status == 504
        ready = call(server.http_port, "GET", "/v2/health/ready")
        assert (ready.status, ready.json()["ready"]) == (400, False)
        assert call(server.http_port, "GET", "/v2/health/live").status == 200
        server.wait_health("SERVING")
        assert infer(server, "0").status == 200


def test_a_caller_who_goes_away_is_not_computed(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()

    def mark(content: bytes) -> int:
        (marks / content.decode()).touch()
        time.sleep(0.5)
        return 1

    with RunningServer(write_model(tmp_path / "model", mark)) as server:
        server.wait_health("SERVING")
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(infer, server, "first")
            until = time.monotonic() + 20
            while not (marks / "first").exists() and time.monotonic() < until:
                server.status()
            with pytest.raises(TimeoutError):
                call(server.http_port, "POST", PREDICT, {"instances": ["late"]}, timeout=0.1)
            assert first.result().status == 200
        assert infer(server, "next").status == 200
    assert sorted(path.name for path in marks.iterdir()) == ["first", "next"]


def test_sigterm_answers_what_was_accepted_and_ends_with_0(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, slow)) as server:
        server.wait_health("SERVING")
        idle = socket.create_connection(("127.0.0.1", server.http_port))
        kept = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=20)
        kept.request("POST", PREDICT, b'{"instances": ["one"]}')
        with ThreadPoolExecutor(2) as pool:
            other = pool.submit(infer, server, "two")
            until = time.monotonic() + 0.2
            while time.monotonic() < until:
                server.status()
            server.signal(signal.SIGTERM)
            while call(server.http_port, "GET", "/v2/health/ready").status == 200:
                assert time.monotonic() < until + 10
            while server.status().message != "the server is stopping":
                assert time.monotonic() < until + 10
            late = predict(server, "late")
            assert (late.status, late.json()["error"]) == (503, "the server is stopping")
            response = kept.getresponse()
            assert (response.status, response.getheader("connection")) == (200, "close")
            assert json.loads(response.read()) == {"predictions": ["one"]}
            assert other.result().json()["outputs"][0]["data"] == ['"two"']
        assert idle.recv(1) == b""
        assert server.wait_end() == 0
        idle.close()


def test_a_large_answer_to_a_slow_reader_leaves_whole_before_the_end(tmp_path: Path) -> None:
    def large(content: bytes) -> str:
        time.sleep(0.3)
        return "x" * 30_000_000

    with RunningServer(write_model(tmp_path, large), {"CHASSIS_DRAIN_TIMEOUT": "60"}) as server:
        server.wait_health("SERVING")
        connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
        connection.request("POST", PREDICT, b'{"instances": [""]}')
        server.status()
        server.signal(signal.SIGTERM)
        assert len(connection.getresponse().read()) == 30_000_000 + len('{"predictions":[""]}')
        assert server.wait_end() == 0


def test_a_model_that_cannot_be_loaded_is_not_ready_and_says_why(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, b"garbage")) as server:
        server.wait_event("the model could not be loaded")
        ready = call(server.http_port, "GET", "/v2/health/ready")
        assert ready.status == 400
        assert "UnpicklingError" in ready.json()["error"]
        answer = infer(server, "a")
        assert answer.status == 503
        assert "UnpicklingError" in answer.json()["error"]
        assert call(server.http_port, "GET", "/v1/models/tested").status == 503


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

        return sorted({"grpc", "httptools", "google.protobuf"} & set(sys.modules))

    model = write_model(tmp_path, loaded)
    with RunningServer(model, {"CHASSIS_SERVERS": "v2-http"}) as server:
        assert json.loads(infer(server, "").json()["outputs"][0]["data"][0]) == ["httptools"]
    with RunningServer(model, {"CHASSIS_SERVERS": "omi"}) as server:
        assert json.loads(server.run(b"").outputs[0].output["results.json"]) == ["google.protobuf", "grpc"]


def test_a_port_in_use_is_an_error_that_names_it(tmp_path: Path) -> None:
    model = write_model(tmp_path, lengths, batch_size=1)
    with (
        RunningServer(model) as server,
        pytest.raises(ServerEndedError, match=rf"cannot listen on 127\.0\.0\.1:{server.http_port}.*HTTP_PORT"),
    ):
        RunningServer(model, {"HTTP_PORT": str(server.http_port)})


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
            ({"grid": [[1, 2], [3, 0.5]], "length": 0}, 400, "a value is not of INT32"),
            ({"grid": {"b64": "AAAA"}, "length": 0}, 400, "input 'grid' has 3 bytes, which are no INT32[2,2]"),
            ({"grid": encoded, "length": 3}, 500, "output 'many' has 3 bytes, which are no FP16[-1]"),
        ):
            refused = predict(server, given)
            assert (refused.status, reason in refused.json()["error"]) == (status, True), refused
        item = server.run({"grid": b"123", "length": bytes(8)}).outputs[0]
        assert item.output["error"] == b"input 'grid' has 3 bytes, which are no INT32[2,2]"

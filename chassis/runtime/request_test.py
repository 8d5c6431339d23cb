"""A predict function that takes the request, and gives parameters: over every front end, with clients of others."""

from __future__ import annotations

import json
import queue
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

import chassis
from chassis.runtime import omi_pb2
from tests.support.running_server import RunningServer, write_model

PATHS = ("v1/models/tested:predict", "v2/models/tested/infer", "v2/models/tested/generate")


def told(content: bytes, request: chassis.Request) -> object:
    """What the function is told, and a parameter of each kind."""
    seen = {
        "id": request.id,
        "parameters": dict(request.parameters),
        "headers": dict(request.headers),
        "remaining": request.remaining(),
    }
    given = {"text": "é", "whole": -3, "large": (1 << 64) - 1, "share": 0.5, "yes": True}
    return chassis.Result(seen, parameters=given)


def told_in_batches(contents: list[bytes], requests: list[chassis.Request]) -> list[object]:
    """The same of a batch."""
    return [told(content, request) for content, request in zip(contents, requests, strict=True)]


GIVEN = {"text": "é", "whole": -3, "large": (1 << 64) - 1, "share": 0.5, "yes": True}
HEADERS = {"X-Tenant": "blue", "X-Other": "hidden"}
ASKED = {"top": 3, "ratio": 0.25, "mode": "fast", "exact": True}


@pytest.fixture(scope="module", params=["thread", "process", "batch"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    batch = request.param == "batch"
    model = write_model(
        tmp_path_factory.mktemp("told"),
        told_in_batches if batch else told,
        batch_size=4 if batch else 0,
        takes_request=True,
        request_headers=["x-tenant"],
    )
    environment = {"CHASSIS_WORKERS": "0" if request.param == "thread" else "1", "CHASSIS_RUN_TIMEOUT": "30"}
    with RunningServer(model, environment) as running:
        running.wait_health("SERVING")
        yield running


def given_to(client: Any) -> Any:
    given = client.InferInput("input", [1], "BYTES")
    given.set_data_from_numpy(np.array([b"x"], dtype=object))
    return given


def post(server: RunningServer, path: str, document: object, headers: dict[str, str] = HEADERS) -> Any:
    url = f"http://127.0.0.1:{server.http_port}{path}"
    asked = urllib.request.Request(url, json.dumps(document).encode(), headers)
    return json.load(urllib.request.urlopen(asked, timeout=20))


def test_triton_s_client_over_grpc(server: RunningServer) -> None:
    client = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.port}")
    result = client.infer(
        "tested",
        [given_to(tritonclient.grpc)],
        request_id="one",
        parameters=ASKED,
        headers={"x-tenant": "red", "x-other": "hidden"},
        client_timeout=9,
    )
    seen = json.loads(result.as_numpy("results.json")[0])
    assert 0 < seen.pop("remaining") <= 9.1
    assert seen == {"id": "one", "parameters": ASKED, "headers": {"x-tenant": "red"}}
    found = result.get_response().parameters
    assert {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in found.items()} == GIVEN


def test_triton_s_client_over_http(server: RunningServer) -> None:
    client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.http_port}")
    result = client.infer(
        "tested", [given_to(tritonclient.http)], request_id="one", parameters=ASKED, headers=dict(HEADERS)
    )
    seen = json.loads(result.as_numpy("results.json")[0])
    assert 0 < seen.pop("remaining") <= 30
    assert seen == {"id": "one", "parameters": ASKED, "headers": {"x-tenant": "blue"}}
    assert result.get_response()["parameters"] == GIVEN


def test_v1(server: RunningServer) -> None:
    answer = post(server, "/v1/models/tested:predict", {"instances": ["a", "b"], "parameters": ASKED})
    for seen in answer["predictions"]:
        assert (seen["parameters"], seen["headers"]) == (ASKED, {"x-tenant": "blue"})
        assert 0 < seen["remaining"] <= 30
    assert len({seen["id"] for seen in answer["predictions"]}) == 1
    assert post(server, "/v1/models/tested:predict", {"instances": ["a"]}, {"x-request-id": "mine"}) == {
        "predictions": [
            {"id": "mine", "parameters": {}, "headers": {}, "remaining": pytest.approx(30, abs=5)},
        ]
    }


def test_omi(server: RunningServer) -> None:
    request = omi_pb2.RunRequest(inputs=[omi_pb2.InputItem(input={"input": b"x"})])
    metadata = (("x-tenant", "green"), ("x-request-id", "mine"), ("x-other", "hidden"))
    seen = json.loads(server.omi.Run(request, timeout=7, metadata=metadata).outputs[0].output["results.json"])
    assert 0 < seen.pop("remaining") <= 7.1
    assert seen == {"id": "mine", "parameters": {}, "headers": {"x-tenant": "green"}}
    without = json.loads(server.omi.Run(request, metadata=metadata).outputs[0].output["results.json"])
    assert 7 < without["remaining"] <= 30


def test_the_generate_extension(server: RunningServer) -> None:
    document = {"text_input": "x", "id": "one", "parameters": ASKED}
    whole = post(server, "/v2/models/tested/generate", document)
    assert (whole["results.json"]["id"], whole["results.json"]["parameters"]) == ("one", ASKED)
    assert whole["parameters"] == GIVEN


def test_a_header_that_comes_twice_is_one(server: RunningServer) -> None:
    request = omi_pb2.RunRequest(inputs=[omi_pb2.InputItem(input={"input": b"x"})])
    metadata = (("x-tenant", "a"), ("x-tenant", "b"))
    seen = json.loads(server.omi.Run(request, metadata=metadata).outputs[0].output["results.json"])
    assert seen["headers"] == {"x-tenant": "a, b"}


@pytest.mark.parametrize("path", PATHS)
def test_parameters_are_an_object(server: RunningServer, path: str) -> None:
    document = {
        "instances": ["x"],
        "inputs": [{"name": "input", "datatype": "BYTES", "shape": [1], "data": ["x"]}],
        "input": "x",
        "parameters": [1],
    }
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(server, f"/{path}", document)
    assert refused.value.code == 400 and "parameters" in json.load(refused.value)["error"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("value", ["1e999", '{"a": [1, -1e999]}'])
def test_a_parameter_that_overflows_is_named(server: RunningServer, path: str, value: str) -> None:
    tensor = '{"name": "input", "datatype": "BYTES", "shape": [1], "data": ["x"]}'
    body = f'{{"instances": ["x"], "inputs": [{tensor}], "input": "x", "parameters": {{"fine": 1, "large": {value}}}}}'
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/{path}", body.encode(), timeout=20)
    assert refused.value.code == 400
    assert json.load(refused.value) == {"error": "parameters: 'large' holds a number that overflows"}


def test_what_the_protocol_asks_with_parameters_is_not_told(server: RunningServer) -> None:
    document = {
        "inputs": [{"name": "input", "datatype": "BYTES", "shape": [1], "data": ["x"]}],
        "parameters": {"binary_data_output": False, "left": None, "nested": {"a": [1]}},
    }
    answer = post(server, "/v2/models/tested/infer", document)
    assert json.loads(answer["outputs"][0]["data"][0])["parameters"] == {"nested": {"a": [1]}}


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_stream_is_told_and_each_piece_has_its_parameters(workers: str, tmp_path: Path) -> None:
    def counted(content: bytes, request: chassis.Request | None = None) -> Iterator[chassis.Result]:
        most = request.parameters["most"] if request else 0
        for number in range(most):
            yield chassis.Result(number, {"last": number + 1 == most, "until": request.deadline or 0.0})

    model = write_model(tmp_path, counted, takes_request=True)
    with RunningServer(model, {"CHASSIS_WORKERS": workers}) as server:
        server.wait_health("SERVING")
        client = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.port}")
        answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
        client.start_stream(lambda result, error: answers.put((result, error)), stream_timeout=25)
        client.async_stream_infer("tested", [given_to(tritonclient.grpc)], parameters={"most": 2})
        responses = [answers.get(timeout=20)[0].get_response() for _ in "12"]
        client.stop_stream()
        assert [response.parameters["last"].bool_param for response in responses] == [False, True]
        # gRPC rounds a timeout up before it is sent.
        assert 0 < responses[0].parameters["until"].double_param - time.monotonic() < 26

        url = f"http://127.0.0.1:{server.http_port}/v2/models/tested/generate_stream"
        body = json.dumps({"input": "x", "parameters": {"most": 2}}).encode()
        lines = urllib.request.urlopen(url, body, timeout=20).read().decode().split("\n\n")
        events = [json.loads(line.removeprefix("data: ")) for line in lines if line]
        assert [event["parameters"] for event in events] == [
            {"last": False, "until": 0.0},
            {"last": True, "until": 0.0},
        ]
        whole = post(server, "/v2/models/tested/generate", {"input": "x", "parameters": {"most": 3}})
        assert (whole["results.json"], whole["parameters"]["last"]) == ([0, 1, 2], True)


def test_a_function_that_takes_no_request_is_not_asked_about_parameters(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, lambda content: len(content))) as server:
        server.wait_health("SERVING")
        assert post(server, "/v1/models/tested:predict", {"instances": ["abc"], "parameters": "x"}) == {
            "predictions": [3]
        }


def test_a_warm_up_has_nobody_s_request(tmp_path: Path) -> None:
    model = write_model(tmp_path, told, takes_request=True)
    warm_up = {"requests": [{"name": "first", "items": [{"input": "eA=="}]}]}
    (model / "warmup.json").write_text(json.dumps(warm_up))
    with RunningServer(model) as server:
        server.wait_health("SERVING")


def test_large_inputs_come_with_their_requests(server: RunningServer) -> None:
    document = {
        "inputs": [{"name": "input", "datatype": "BYTES", "shape": [2], "data": ["x" * 100_000, "y" * 200_000]}],
        "parameters": ASKED,
    }
    answer = post(server, "/v2/models/tested/infer", document)
    assert [json.loads(data)["parameters"] for data in answer["outputs"][0]["data"]] == [ASKED, ASKED]

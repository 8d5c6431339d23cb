"""Tests of a running server over OMI: what is answered."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from chassis.runtime import omi_pb2
from tests.support.length_model import serving_lengths
from tests.support.marking_model import write_marking_model
from tests.support.running_server import RunningServer, write_model
from tests.support.worker_modes import workers

__all__ = ["workers"]


@pytest.fixture(scope="module")
def server(workers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving_lengths(tmp_path_factory.mktemp("model")) as running:
        yield running


def results(response: omi_pb2.RunResponse) -> list[object]:
    """The JSON of each item, or its error as text."""
    return [
        json.loads(item.output["results.json"]) if item.success else item.output["error"].decode()
        for item in response.outputs
    ]


def test_run_needs_no_status_before_it(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, lambda content: len(content))) as running:
        assert results(running.run(b"abc")) == [3]


def test_run_answers_every_item_in_order(server: RunningServer) -> None:
    response = server.run(*[b"x" * size for size in range(10)])
    assert response.status_code == 200
    assert [result["length"] for result in results(response)] == list(range(10))  # type: ignore[index]
    assert all(result["batch"] <= 4 for result in results(response))  # type: ignore[index]


def test_a_json_result_is_compact(server: RunningServer) -> None:
    assert server.run(b"abc").outputs[0].output["results.json"] == b'{"length":3,"batch":1}'


def test_a_failing_item_fails_alone(server: RunningServer) -> None:
    response = server.run(b"a", b"bad", b"ccc")
    assert response.status_code == 200
    assert [item.success for item in response.outputs] == [True, False, True]
    assert [result["length"] for result in results(response) if isinstance(result, dict)] == [1, 3]
    assert results(response)[1] == "ValueError: no good"
    assert list(response.outputs[1].output) == ["error"]


def test_a_model_that_exits_fails_the_item_and_not_the_server(server: RunningServer) -> None:
    assert results(server.run(b"exit", b"ab")) == ["SystemExit: 3", {"length": 2, "batch": 1}]
    assert server.process.poll() is None


def test_a_wrong_number_of_results_says_so(server: RunningServer) -> None:
    assert results(server.run(b"short")) == [
        "the batch function returned 0 results for 1 inputs, expected one for each"
    ]


def test_a_wrong_type_of_results_says_so(server: RunningServer) -> None:
    expected = "the batch function returned None, expected a list with one result for each input"
    assert results(server.run(b"none", b"a")) == [expected, expected]


def test_a_result_that_is_no_json_fails_its_item_alone(server: RunningServer) -> None:
    first, second = results(server.run(b"object", b"ab"))
    assert first == "the model's result cannot be sent: the result holds a object, which JSON cannot express"
    assert second["length"] == 2  # type: ignore[index]


def test_max_size_is_enforced_with_the_name_and_both_sizes(server: RunningServer) -> None:
    response = server.run(b"x" * 1001, b"x" * 1000)
    assert results(response)[0] == "input 'input' has 1001 bytes, more than its max_size 1000 (1000 bytes)"
    assert response.outputs[1].success


def test_a_missing_input_names_what_was_given(server: RunningServer) -> None:
    response = server.run({"image": b"x", "a": b""}, {"input": b"y"})
    assert results(response)[0] == "no input 'input'; given: 'a', 'image'"
    assert response.outputs[1].success


def test_a_request_without_inputs_is_a_bad_request(server: RunningServer) -> None:
    response = server.run()
    assert (response.status_code, response.message) == (400, "the request has no inputs")


def test_drift_and_explanation_are_said_to_be_unsupported(server: RunningServer) -> None:
    response = server.run(b"a", detect_drift=True, explain=True)
    assert response.status_code == 200
    assert response.outputs[0].success
    assert "detect_drift was asked for" in response.message
    assert "explain was asked for" in response.message


def test_status_describes_the_model_with_its_batch_size(server: RunningServer) -> None:
    status = server.status()
    assert (status.status_code, status.status) == (200, "OK")
    assert status.model_info.model_name == "Tested"
    assert status.features.batch_size == 4


def test_health_knows_both_names_and_no_other(server: RunningServer) -> None:
    assert server.health_of("") == "SERVING"
    assert server.health_of("ModzyModel") == "SERVING"
    with pytest.raises(grpc.RpcError) as caught:
        server.health_of("Other")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_services_and_describes_omi(server: RunningServer) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="ModzyModel"),
    ]
    listed, described = stub.ServerReflectionInfo(iter(asked), timeout=20)
    names = {service.name for service in listed.list_services_response.service}
    assert names == {
        "ModzyModel",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
    }
    assert described.file_descriptor_response.file_descriptor_proto


def test_the_stock_reflection_client_finds_all_that_a_call_needs(server: RunningServer) -> None:
    found = ProtoReflectionDescriptorDatabase(server.channel)
    assert "ModzyModel" in found.get_services()
    run = DescriptorPool(found).FindServiceByName("ModzyModel").FindMethodByName("Run")
    request = GetMessageClass(run.input_type)()
    request.inputs.add().input["input"] = b"abc"
    call = server.channel.unary_unary(
        "/ModzyModel/Run",
        request_serializer=type(request).SerializeToString,
        response_deserializer=GetMessageClass(run.output_type).FromString,
    )
    assert call(request, timeout=20).outputs[0].output["results.json"] == b'{"length":3,"batch":1}'


def test_a_method_that_is_not_there_is_unimplemented(server: RunningServer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        server.channel.unary_unary("/ModzyModel/Predict")(b"", timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_malformed_messages_leave_the_server_serving(server: RunningServer) -> None:
    methods = (
        "/ModzyModel/Run",
        "/ModzyModel/Status",
        "/inference.GRPCInferenceService/ModelInfer",
        "/grpc.health.v1.Health/Check",
    )
    for method in methods:
        for content in (b"\xff" * 50, b"\x0a\xff\xff\xff\xff\x0f", b"\x08"):
            with pytest.raises(grpc.RpcError) as caught:
                server.channel.unary_unary(method)(content, timeout=20)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert (caught.value.details() or "").startswith("the message cannot be read: ")
    assert server.run(b"abc").outputs[0].success
    assert not any("traceback" in event for event in server.events)


def test_waiting_items_of_other_requests_share_a_batch(server: RunningServer) -> None:
    with ThreadPoolExecutor(5) as pool:
        busy = pool.submit(server.run, b"pause")
        server_is_busy = time.monotonic() + 0.1
        while time.monotonic() < server_is_busy:
            server.status()
        waiting = [pool.submit(server.run, b"x" * size) for size in (1, 2, 3, 4)]
        answers = [results(future.result())[0] for future in waiting]
        busy.result()
    assert [answer["length"] for answer in answers] == [1, 2, 3, 4]  # type: ignore[index]
    assert max(answer["batch"] for answer in answers) > 1  # type: ignore[index]


def test_concurrent_callers_get_their_own_answers(server: RunningServer) -> None:
    def ask(number: int) -> bool:
        sizes = [number * 3 % 50, number, number % 7]
        answers = results(server.run(*[b"x" * size for size in sizes]))
        return [answer["length"] for answer in answers] == sizes  # type: ignore[index]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(300)))


def test_a_cancelled_call_is_not_computed(tmp_path: Path) -> None:
    model, marks = write_marking_model(tmp_path)
    with RunningServer(model) as running:
        running.wait_health("SERVING")
        first = running.omi.Run.future(_request(b"first"), timeout=20)
        until = time.monotonic() + 20
        while not (marks / "first").exists() and time.monotonic() < until:
            threading.Event().wait(0.01)
        with pytest.raises(grpc.RpcError) as caught:
            running.run(b"late", timeout=0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert first.result().outputs[0].success
        assert running.run(b"next").outputs[0].success
    assert sorted(path.name for path in marks.iterdir()) == ["first", "next"]


def test_a_full_queue_is_resource_exhausted_at_once(tmp_path: Path) -> None:
    def slow(content: bytes) -> int:
        time.sleep(0.5)
        return 1

    with RunningServer(write_model(tmp_path, slow), {"CHASSIS_QUEUE_SIZE": "2"}) as running:
        running.wait_health("SERVING")
        calls = [running.omi.Run.future(_request(b"x"), timeout=20) for _ in range(8)]
        codes = [call.code() for call in calls]
        assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) >= 4
        assert codes.count(grpc.StatusCode.OK) >= 2
        refused = next(call for call in calls if call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert "the queue holds 2" in refused.details()


def test_max_wait_fills_a_batch(tmp_path: Path) -> None:
    def size(inputs: list[bytes]) -> list[int]:
        return [len(inputs)] * len(inputs)

    model = write_model(tmp_path, size, batch_size=3, max_wait_ms=10_000)
    with RunningServer(model) as running:
        running.wait_health("SERVING")
        calls = [running.omi.Run.future(_request(b"x"), timeout=20) for _ in range(3)]
        assert [results(call.result()) for call in calls] == [[3], [3], [3]]


def test_a_call_that_outlasts_run_timeout_fails_and_the_model_is_not_serving_meanwhile(tmp_path: Path) -> None:
    def sleepy(content: bytes) -> int:
        time.sleep(float(content))
        return 1

    # In a thread, where nothing can end it; workers/one_process_test has the process that is ended.
    with RunningServer(write_model(tmp_path, sleepy, run_timeout=0.3), {"CHASSIS_WORKERS": "0"}) as running:
        running.wait_health("SERVING")
        call = running.omi.Run.future(_request(b"1.5"), timeout=20)
        assert "run timeout of 0.3 s" in results(call.result())[0]  # type: ignore[operator]
        assert running.status().status_code == 503
        running.wait_health("NOT_SERVING")
        running.wait_health("SERVING")
        assert results(running.run(b"0")) == [1]


def test_a_mapping_function_takes_and_gives_named_bytes(tmp_path: Path) -> None:
    def upper(item: Mapping[str, bytes]) -> Mapping[str, bytes]:
        return {"count": b"%d" % len(item), **{name: content.upper() for name, content in item.items()}}

    with RunningServer(write_model(tmp_path, upper, signature="mapping")) as running:
        response = running.run({"a": b"x", "b": b"yz"}, {})
        assert [dict(item.output) for item in response.outputs] == [
            {"a": b"X", "b": b"YZ", "count": b"2"},
            {"count": b"0"},
        ]


def test_a_batch_mapping_function(tmp_path: Path) -> None:
    def count(items: Sequence[Mapping[str, bytes]]) -> Sequence[Mapping[str, bytes]]:
        return [{"n": b"%d" % len(item)} if item else {"n": 1} for item in items]  # type: ignore[dict-item]

    with RunningServer(write_model(tmp_path, count, signature="mapping", batch_size=8)) as running:
        response = running.run({"a": b""}, {}, {"a": b"", "b": b""})
        assert [item.success for item in response.outputs] == [True, False, True]
        assert (
            response.outputs[1].output["error"]
            == b"the model returned a int for output 'n', expected a str name and bytes"
        )


def test_a_message_above_the_limit_is_resource_exhausted(tmp_path: Path) -> None:
    model = write_model(tmp_path, lambda content: len(content))
    with RunningServer(model, {"CHASSIS_MAX_REQUEST_BYTES": "10000"}) as running:
        with pytest.raises(grpc.RpcError) as caught:
            running.run(b"x" * 20_000)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert results(running.run(b"x" * 5000)) == [5000]


def test_the_log_holds_no_payload(tmp_path: Path) -> None:
    def refuse(content: bytes) -> int:
        raise ValueError(f"cannot read {content!r}")

    with RunningServer(write_model(tmp_path, refuse)) as running:
        assert results(running.run(b"secret")) == ["ValueError: cannot read b'secret'"]
        event = running.wait_event("an item failed")
    assert event["error"] == "ValueError"
    assert "refuse" in str(event["at"])
    assert not any("secret" in line for line in running.lines)


def test_each_request_is_in_the_log_where_its_level_is_debug(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, len), {"CHASSIS_LOG_LEVEL": "debug"}) as running:
        running.run(b"secret")
        event = running.wait_event("a request was answered")
    assert (event["protocol"], event["code"], len(str(event["request_id"]))) == ("omi", "OK", 16)
    assert not any("secret" in line for line in running.lines)


def _request(content: bytes) -> omi_pb2.RunRequest:
    return omi_pb2.RunRequest(inputs=[omi_pb2.InputItem(input={"input": content})])


def test_health_watch_is_served_by_the_stock_client(server: RunningServer) -> None:
    first = next(iter(server.health.Watch(health_pb2.HealthCheckRequest(service="ModzyModel"), timeout=20)))
    assert first.status == health_pb2.HealthCheckResponse.SERVING

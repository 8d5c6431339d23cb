"""Tests of a running server: what of a request is counted, logged and passed on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chassis.runtime import omi_pb2
from tests.support.http_client import call
from tests.support.inference_requests import PREDICT, infer, predict
from tests.support.length_model import lengths, serving_lengths
from tests.support.running_server import RunningServer, write_model


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving_lengths(tmp_path_factory.mktemp("model")) as running:
        yield running


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

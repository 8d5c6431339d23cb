"""Spans reach a collector, which decodes them by OpenTelemetry's own messages."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import signal
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from chassis.runtime.tracing.trace_settings import TraceSettingsError, read_trace_settings
from tests.publishing.certificates import new_authority
from tests.support.running_server import RunningServer, write_model

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector(http.server.ThreadingHTTPServer):
    """Keeps what it is sent; over TLS, if it is given a certificate and its key."""

    daemon_threads = True

    def __init__(self, *tls: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._scheme = "https" if tls else "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.requests: list[tuple[str, dict[str, str], ExportTraceServiceRequest]] = []
        self.connections: list[socket.socket] = []
        self.changed = threading.Condition()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.server_port}"

    def spans(self) -> list[Any]:
        return [
            span
            for _, _, request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def wait(self, count: int) -> list[Any]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.spans()) >= count, 20), self.spans()
            return self.spans()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Collector
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.connections.append(self.connection)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.changed:
            self.server.requests.append((self.path, headers, ExportTraceServiceRequest.FromString(body)))
            self.server.changed.notify_all()
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def collecting(*tls: Path) -> Iterator[Collector]:
    with Collector(*tls) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        try:
            yield running
        finally:
            running.shutdown()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


def lengths(inputs: list[bytes]) -> list[int]:
    """The length of each."""
    if b"bad" in inputs:
        raise ValueError("no good")
    return [len(content) for content in inputs]


def ask(server: RunningServer, *contents: str, **headers: str) -> int:
    body = json.dumps({"instances": contents}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{server.http_port}/v1/models/tested:predict", body)
    for name, value in headers.items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def attributes(owner: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in owner.attributes}


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_request_and_its_call_are_in_the_callers_trace(workers: str, collector: Collector, tmp_path: Path) -> None:
    given = {
        "CHASSIS_WORKERS": workers,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    before = time.time_ns()
    with RunningServer(write_model(tmp_path, lengths, batch_size=4), given) as server:
        server.wait_health("SERVING")
        assert ask(server, "a", "bb", traceparent=f"00-{TRACE}-{PARENT}-01") == 200
        spans = collector.wait(2)
    of_request = next(span for span in spans if span.name == "v1-http tested")
    of_call = next(span for span in spans if span.name == "call tested")
    assert of_request.trace_id.hex() == of_call.trace_id.hex() == TRACE
    assert of_request.parent_span_id.hex() == PARENT
    assert of_call.parent_span_id == of_request.span_id
    assert len(of_request.span_id) == len(of_call.span_id) == 8
    assert (of_request.kind, of_call.kind) == (2, 1)
    assert attributes(of_request)["chassis.code"] == "200"
    assert attributes(of_call) == {"chassis.items": 2}
    assert before < of_request.start_time_unix_nano <= of_call.start_time_unix_nano
    assert of_call.end_time_unix_nano <= of_request.end_time_unix_nano < time.time_ns()
    path, headers, request = collector.requests[0]
    assert path == "/v1/traces"
    assert headers["authorization"] == "Bearer x"
    assert attributes(request.resource_spans[0].resource) == {
        "service.name": "tested",
        "deployment.environment": "test",
    }


def test_a_call_for_several_requests_is_linked_to_each(collector: Collector, tmp_path: Path) -> None:
    given = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/mine", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    model = write_model(tmp_path, lengths, batch_size=2, max_wait_ms=10_000)
    with RunningServer(model, given) as server, ThreadPoolExecutor() as threads:
        server.wait_health("SERVING")
        assert {*threads.map(lambda text: ask(server, text), ["a", "b"])} == {200}
        spans = collector.wait(3)
    requests = [span for span in spans if span.kind == 2]
    (call,) = (span for span in spans if span.kind == 1)
    assert {link.span_id for link in call.links} == {span.span_id for span in requests}
    assert {link.trace_id for link in call.links} == {span.trace_id for span in requests}
    assert not call.parent_span_id
    assert collector.requests[0][0] == "/mine"


def test_failures_are_marked_and_the_last_spans_leave_at_the_end(collector: Collector, tmp_path: Path) -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    with RunningServer(write_model(tmp_path, lengths, batch_size=4), given) as server:
        server.wait_health("SERVING")
        assert ask(server, "bad") == 422
        assert ask(server) == 400
        server.signal(signal.SIGTERM)
        assert server.wait_end() == 0
    found = sorted((span.name, attributes(span).get("chassis.code"), span.status.code) for span in collector.spans())
    assert found == [("call tested", None, 2), ("v1-http tested", "400", 2), ("v1-http tested", "422", 2)]


def test_exports_are_full_while_requests_come(collector: Collector, tmp_path: Path) -> None:
    given = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "60000",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "7",
    }
    with RunningServer(write_model(tmp_path, lengths, batch_size=4), given) as server, ThreadPoolExecutor(4) as threads:
        server.wait_health("SERVING")
        assert {*threads.map(lambda _: ask(server, "a"), range(30))} == {200}
        server.signal(signal.SIGTERM)
        assert server.wait_end() == 0
    sizes = [len(request.resource_spans[0].scope_spans[0].spans) for _, _, request in collector.requests]
    assert sum(sizes) > 30  # of requests and of calls
    assert sum(size != 7 for size in sizes) <= 1  # the rest, which may come before one that was sent earlier


def test_a_queue_that_is_shorter_than_an_export_is_sent(collector: Collector, tmp_path: Path) -> None:
    given = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "60000",
        "OTEL_BSP_MAX_QUEUE_SIZE": "4",
    }
    with RunningServer(write_model(tmp_path, lengths, batch_size=4), given) as server:
        server.wait_health("SERVING")
        for _ in range(2):
            assert ask(server, "a") == 200
        assert len(collector.wait(4)) == 4


def test_what_the_caller_does_not_sample_has_no_spans(collector: Collector, tmp_path: Path) -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_TRACES_SAMPLER": "parentbased_always_off"}
    with RunningServer(write_model(tmp_path, lengths, batch_size=4), given) as server:
        server.wait_health("SERVING")
        ask(server, "a", traceparent=f"00-{TRACE}-{PARENT}-00")
        ask(server, "a")
        ask(server, "a", traceparent=f"00-{TRACE}-{PARENT}-01")
        server.signal(signal.SIGTERM)
        assert server.wait_end() == 0
    assert {span.trace_id.hex() for span in collector.spans()} == {TRACE}
    assert len(collector.spans()) == 2


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
def test_a_connection_to_the_collector_is_kept_and_made_anew_when_it_was_closed(
    encrypted: bool, tmp_path: Path
) -> None:
    tls = new_authority().write(tmp_path) if encrypted else ()
    with collecting(*tls) as collector:
        given = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        given |= {"SSL_CERT_FILE": str(tls[0])} if tls else {}
        with RunningServer(write_model(tmp_path / "model", lengths, batch_size=4), given) as server:
            server.wait_health("SERVING")
            for number in (1, 2):  # each is an export of its own, since the one before has come
                assert ask(server, "a") == 200
                collector.wait(2 * number)
            assert len(collector.connections) == 1
            # Without TLS's own farewell, as balancers do it.
            socket.socket.shutdown(collector.connections[0], socket.SHUT_RDWR)
            assert ask(server, "a") == 200
            collector.wait(6)
            assert len(collector.connections) == 2


def test_a_collector_that_is_not_there_is_logged_and_harms_nobody(tmp_path: Path) -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with RunningServer(write_model(tmp_path, lengths, batch_size=4), given) as server:
        server.wait_health("SERVING")
        assert ask(server, "a") == 200
        server.wait_event("spans were not taken")
        assert ask(server, "a") == 200


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "sends http/protobuf alone"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, "is not a URL"),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, "expected one of always_on"),
        ({"OTEL_BSP_SCHEDULE_DELAY": "soon"}, "expected a number"),
    ],
)
def test_variables_that_cannot_be_understood(variables: dict[str, str], message: str) -> None:
    with pytest.raises(TraceSettingsError, match=message):
        read_trace_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", **variables}, "tested")


@pytest.mark.parametrize(
    ("queue", "batch", "expected"),
    [("", "", (2048, 512)), ("256", "", (256, 256)), ("256", "100", (256, 100)), ("0", "0", (1, 1))],
)
def test_an_export_has_at_most_the_spans_that_may_wait(queue: str, batch: str, expected: tuple[int, int]) -> None:
    given = {"OTEL_BSP_MAX_QUEUE_SIZE": queue, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": batch}
    found = read_trace_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", **given}, "tested")
    assert found is not None
    assert (found.queue_size, found.batch_size) == expected


@pytest.mark.parametrize(
    "variables",
    [{}, {"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}],
)
def test_nothing_is_sent_unless_it_is_asked_for(variables: dict[str, str]) -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", **variables} if variables else {}
    assert read_trace_settings(given, "tested") is None

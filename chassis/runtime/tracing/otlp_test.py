"""Spans are what OpenTelemetry's own messages say, read by OpenTelemetry's own package."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from chassis.runtime.tracing import otlp

TRACE, SPAN, PARENT = bytes(range(16)), bytes(range(8)), bytes(range(8, 16))
LONG = "é" * 5000


def test_an_export_is_read_as_it_was_meant() -> None:
    rest = otlp.label(f"name {LONG}", 2) + otlp.attribute("key", LONG) + otlp.attribute("number", 70_000)
    rest += otlp.link(TRACE, SPAN) + otlp.link(TRACE, PARENT)
    spans = [
        otlp.span(TRACE, SPAN, b"", 1_700_000_000_000_000_001, 1_700_000_000_000_000_002, rest=rest, failed=True),
        otlp.span(TRACE, PARENT, SPAN, 3, 4, rest=otlp.label("", 1) + otlp.attribute("", ""), failed=False),
    ]
    content = otlp.export([("service.name", "tested"), ("x", LONG)], "scope", "1.2", spans)
    (resource,) = ExportTraceServiceRequest.FromString(content).resource_spans
    found = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert found == {"service.name": "tested", "x": LONG}
    (scope,) = resource.scope_spans
    assert (scope.scope.name, scope.scope.version) == ("scope", "1.2")
    first, second = scope.spans
    expected = Span(
        trace_id=TRACE,
        span_id=SPAN,
        name=f"name {LONG}",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=1_700_000_000_000_000_001,
        end_time_unix_nano=1_700_000_000_000_000_002,
        links=[Span.Link(trace_id=TRACE, span_id=SPAN), Span.Link(trace_id=TRACE, span_id=PARENT)],
        status=Status(code=Status.STATUS_CODE_ERROR),
    )
    expected.attributes.add(key="key").value.string_value = LONG
    expected.attributes.add(key="number").value.int_value = 70_000
    assert first == expected
    assert (second.parent_span_id, second.kind, second.status.code) == (SPAN, Span.SPAN_KIND_INTERNAL, 0)
    assert (second.start_time_unix_nano, second.end_time_unix_nano) == (3, 4)


def test_what_is_no_text_is_still_an_attribute() -> None:
    span = otlp.span(TRACE, SPAN, b"", 0, 0, rest=otlp.attribute("key", "\ud800"), failed=False)
    (resource,) = ExportTraceServiceRequest.FromString(otlp.export([], "", "", [span])).resource_spans
    assert resource.scope_spans[0].spans[0].attributes[0].value.string_value == "?"

"""Spans are what OpenTelemetry's own messages say, read by OpenTelemetry's own package."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from chassis.runtime.tracing import otlp

TRACE, SPAN, PARENT = bytes(range(16)), bytes(range(8)), bytes(range(8, 16))
LONG = "é" * 5000


def test_an_export_is_read_as_it_was_meant() -> None:
    common = otlp.label(f"name {LONG}", 2) + otlp.attribute("key", LONG) + otlp.attribute("number", 70_000)
    links = otlp.links([otlp.place(TRACE, SPAN), otlp.place(TRACE, PARENT, SPAN)])
    named = otlp.Form(otlp.label("", 1), failed=False, before=otlp.text("id", len(LONG.encode())))
    spans = [
        otlp.Form(common, failed=True).span(
            otlp.place(TRACE, SPAN), 1_700_000_000_000_000_001, 1_700_000_000_000_000_002, links
        ),
        named.span(otlp.place(TRACE, PARENT, SPAN), 3, 4, LONG.encode()),
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
    assert [(pair.key, pair.value.string_value) for pair in second.attributes] == [("id", LONG)]


def test_spans_of_one_form_may_be_of_any_length() -> None:
    form = otlp.Form(otlp.label("name", 1), failed=False)
    spans = [
        form.span(otlp.place(TRACE, SPAN), 0, 0, otlp.links([otlp.place(TRACE, SPAN)] * count)) for count in range(1500)
    ]
    (resource,) = ExportTraceServiceRequest.FromString(otlp.export([], "", "", spans)).resource_spans
    assert [len(span.links) for span in resource.scope_spans[0].spans] == [*range(1500)]


def test_what_is_no_text_is_still_an_attribute() -> None:
    span = otlp.Form(b"", failed=False).span(otlp.place(TRACE, SPAN), 0, 0, otlp.attribute("key", "\ud800"))
    (resource,) = ExportTraceServiceRequest.FromString(otlp.export([], "", "", [span])).resource_spans
    assert resource.scope_spans[0].spans[0].attributes[0].value.string_value == "?"


def test_ids_of_many_spans_are_by_chance_and_read_as_such() -> None:
    chance = bytes(range(256)) * otlp.PLACE
    found = otlp.places(chance)
    assert found == [otlp.place(chance[at + 2 : at + 18], chance[at + 20 : at + 28]) for at in range(0, 7168, 28)]
    assert otlp.ids(found[1]) == (chance[30:46], chance[48:56])

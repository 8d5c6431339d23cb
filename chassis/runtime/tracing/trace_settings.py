"""What the standard variables of OpenTelemetry say.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/,
https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from chassis.errors import ChassisError

SAMPLERS = ("always_on", "always_off", "traceidratio")


class TraceSettingsError(ChassisError):
    """A variable of OpenTelemetry that cannot be understood."""


class TraceSettings(NamedTuple):
    """Where spans go, and which.

    Attributes:
      endpoint: a URL.
      headers: of each export, by name.
      attributes: of the resource, the service's name among them.
      compressed: whether exports are compressed with gzip.
      timeout: seconds for an export.
      delay: the most seconds that a span waits to be sent.
      queue_size: the most spans that wait; more are dropped.
      batch_size: the most spans of an export, at most as many as may wait.
      parent_based: whether a caller's own decision counts, if there is one.
      ratio: of the other requests, how many have spans: 0 to 1.
    """

    endpoint: str
    headers: tuple[tuple[str, str], ...]
    attributes: tuple[tuple[str, str], ...]
    compressed: bool
    timeout: float
    delay: float
    queue_size: int
    batch_size: int
    parent_based: bool
    ratio: float


def read_trace_settings(environment: Mapping[str, str], name: str) -> TraceSettings | None:
    """Reads them for a service that is called `name` unless they say otherwise; None if nothing is to be sent.

    Raises:
      TraceSettingsError: a value that cannot be understood, or a protocol other than OTLP over HTTP.
    """
    endpoint = _of_traces(environment, "ENDPOINT")
    if not endpoint or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if environment.get("OTEL_TRACES_EXPORTER", "otlp") == "none":
        return None
    if not environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        endpoint = endpoint.rstrip("/") + "/v1/traces"
    protocol = _of_traces(environment, "PROTOCOL") or "http/protobuf"
    if protocol != "http/protobuf":
        raise TraceSettingsError(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: this server sends http/protobuf alone")
    if urlsplit(endpoint).scheme not in ("http", "https") or not urlsplit(endpoint).hostname:
        raise TraceSettingsError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT: {endpoint!r} is not a URL such as http://localhost:4318"
        )
    attributes = {"service.name": name, **_pairs(environment.get("OTEL_RESOURCE_ATTRIBUTES", ""))}
    if environment.get("OTEL_SERVICE_NAME"):
        attributes["service.name"] = environment["OTEL_SERVICE_NAME"]
    parent_based, ratio = _sampler(environment)
    queue_size = max(1, int(_number(environment, "OTEL_BSP_MAX_QUEUE_SIZE", 2_048)))
    batch_size = max(1, int(_number(environment, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)))
    return TraceSettings(
        endpoint=endpoint,
        headers=tuple(_pairs(_of_traces(environment, "HEADERS")).items()),
        attributes=tuple(attributes.items()),
        compressed=_of_traces(environment, "COMPRESSION") == "gzip",
        timeout=_number(environment, "OTEL_EXPORTER_OTLP_TIMEOUT", 10_000) / 1000,
        delay=_number(environment, "OTEL_BSP_SCHEDULE_DELAY", 5_000) / 1000,
        queue_size=queue_size,
        batch_size=min(batch_size, queue_size),  # an export is sent when so many wait
        parent_based=parent_based,
        ratio=ratio,
    )


def _of_traces(environment: Mapping[str, str], name: str) -> str:
    return environment.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or environment.get(f"OTEL_EXPORTER_OTLP_{name}", "")


def _sampler(environment: Mapping[str, str]) -> tuple[bool, float]:
    name = environment.get("OTEL_TRACES_SAMPLER") or "parentbased_always_on"
    kind = name.removeprefix("parentbased_")
    if kind not in SAMPLERS:
        known = ", ".join((*SAMPLERS, *(f"parentbased_{one}" for one in SAMPLERS)))
        raise TraceSettingsError(f"OTEL_TRACES_SAMPLER={name}: expected one of {known}")
    ratio = {"always_on": 1.0, "always_off": 0.0}.get(kind)
    if ratio is None:
        ratio = _number(environment, "OTEL_TRACES_SAMPLER_ARG", 1.0)
    return kind != name, min(1.0, ratio)


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise TraceSettingsError(f"{name}={text}: expected a number of at least 0")
    return value


def _pairs(text: str) -> dict[str, str]:
    """`a=1,b=2`, percent-encoded; what is malformed counts as not said."""
    found = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if equals and name.strip():
            found[name.strip()] = unquote(value.strip())
    return found

"""Requests that schemathesis makes from a server's own OpenAPI description: no 5xx, answers as described, no hang."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def check(case: schemathesis.Case, seconds: float) -> None:
    """Sends one request, whose answer comes within `seconds` and is as described."""
    case.call_and_validate(checks=_CHECKS, timeout=seconds)


def fuzz(operation: schemathesis.APIOperation, mode: GenerationMode, examples: int, seconds: float) -> None:
    """Sends `examples` requests, the same each time, that are as the description says or, by `mode`, are not."""

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers_as_described(case: schemathesis.Case) -> None:
        check(case, seconds)

    answers_as_described()

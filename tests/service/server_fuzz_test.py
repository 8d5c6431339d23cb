"""A fuzz of the service from its own OpenAPI description, by schemathesis: no 5xx, answers as described."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.service.service_process import ServiceProcess

_SECONDS = 20.0
_EXAMPLES = 15
_CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


@schemathesis.serializer("application/x-tar")
def _tar(context: object, value: object) -> bytes:
    """Archives as schemathesis makes them up: any bytes."""
    return value if isinstance(value, bytes) else str(value).encode()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with ServiceProcess(tmp_path_factory.mktemp("fuzz") / "state") as running:
        yield running


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_brings_a_server_error(service: ServiceProcess, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == 11
    for operation in operations:
        # Any bytes are a body of the upload's type, and a request without a body has nothing that could be wrong.
        wrong = operation.method in ("post", "put") and operation.path != "/api/uploads"
        if operation.path != "/healthz" and (mode is GenerationMode.POSITIVE or wrong):
            _fuzz(operation, mode)


def _fuzz(operation: schemathesis.APIOperation, mode: GenerationMode) -> None:
    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def as_described(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=list(_CHECKS), timeout=_SECONDS)

    as_described()

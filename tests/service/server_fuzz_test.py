"""A fuzz of the service from its own OpenAPI description, by schemathesis: no 5xx, answers as described."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from schemathesis import GenerationMode

from tests.service.service_process import ServiceProcess
from tests.support.schema_fuzz import fuzz

_SECONDS = 20.0
_EXAMPLES = 15


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
            fuzz(operation, mode, _EXAMPLES, _SECONDS)

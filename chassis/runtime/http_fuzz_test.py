"""A fuzz of the HTTP front ends from their own OpenAPI description, by schemathesis: no 5xx, no hang."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from schemathesis import GenerationMode

from tests.support.running_server import RunningServer, write_model
from tests.support.schema_fuzz import check, fuzz

_SECONDS = 10.0
_EXAMPLES = 25


def lengths(inputs: list[bytes]) -> list[dict[str, int]]:
    """Answers each input with its length, and fails on some."""
    if any(content[:1] == b"0" for content in inputs):
        raise ValueError("no zero")
    return [{"length": len(content)} for content in inputs]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(write_model(tmp_path_factory.mktemp("model"), lengths, batch_size=4, max_size=100)) as running:
        running.wait_health("SERVING")
        yield running


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_brings_a_server_error(server: RunningServer, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.http_port}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert {operation.path for operation in operations} >= {"/v2/models/tested/infer", "/v1/models/tested:predict"}
    for operation in operations:
        if operation.method == "post":
            fuzz(operation, mode, _EXAMPLES, _SECONDS)
        else:
            check(operation.Case(), _SECONDS)
    assert server.process.poll() is None


def test_the_description_is_a_file_that_others_can_keep(server: RunningServer, tmp_path: Path) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/openapi.json", timeout=20) as answer:
        content = answer.read()
    file = tmp_path / "openapi.json"
    file.write_bytes(content)
    assert schemathesis.openapi.from_path(file).raw_schema["openapi"] == "3.1.0"

"""KServe's own clients and MLServer's codecs ask a server, and read what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.models import serving_doubled, serving_echo, told
from tests.support.running_server import RunningServer

ANSWER = {"name": "doubled", "datatype": "FP32", "shape": [2, 3], "values": [[2.0, 4.0, 6.0], [-8.0, 1.0, 0.0]]}


@pytest.fixture
def doubled(tmp_path: Path) -> Iterator[RunningServer]:
    with serving_doubled(tmp_path / "doubled") as server:
        yield server


def test_kserves_clients_over_rest_and_grpc(doubled: RunningServer) -> None:
    answer = {**ANSWER, "id": "asked-by-kserve"}
    no_model = "there is no model 'another', this server has 'tested', '404 Not Found' for url "
    assert told("KSERVE_CLIENT", doubled.http_port, doubled.port) == {
        "v1 live": True,
        "v1 ready": True,
        "v1": {"predictions": ANSWER["values"]},
        "v2 live": True,
        "v2 ready": [True, True],
        "v2 JSON": answer,
        "v2 binary": answer,
        "v2 of another model": f"{no_model}'http://127.0.0.1:{doubled.http_port}/v2/models/another/infer'",
        "gRPC live": True,
        "gRPC ready": [True, True],
        "gRPC": answer,
        "gRPC, values": answer,
        "gRPC of another model": "NOT_FOUND",
    }


def test_mlservers_codecs(doubled: RunningServer, tmp_path: Path) -> None:
    with serving_echo(tmp_path / "echo") as echo:
        assert told("MLSERVER_CLIENT", doubled.http_port, echo.http_port) == {
            "arrays": ["asked-by-mlserver", "FP32", ANSWER["values"]],
            "texts": ["zwölf", "", "3"],
            "a frame": {"echoed": ["zwölf", "", "3"]},
            "bytes": [b"\xff\x00".hex(), b"plain".hex()],
            "metadata": ["tested", [["row", "FP32", [-1, 3]]]],
            "index": [["tested", "READY"]],
        }

"""A chassis_model's declared tensors, as tritonclient sees and sends them over HTTP and gRPC."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

from tests.support.running_server import RunningServer

KINDS: dict[str, ModuleType] = {"http": tritonclient.http, "grpc": tritonclient.grpc}


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with RunningServer(Path(os.environ["MODEL_PICKLE"]).parent) as running:
        running.wait_health("SERVING")
        yield running


def client(kind: str, server: RunningServer) -> tritonclient.http.InferenceServerClient:
    port = server.http_port if kind == "http" else server.port
    return KINDS[kind].InferenceServerClient(f"127.0.0.1:{port}")


@pytest.mark.parametrize("kind", KINDS)
def test_metadata_names_the_tensors_with_datatype_and_shape(kind: str, server: RunningServer) -> None:
    with client(kind, server) as triton:
        found = triton.get_model_metadata("nearest", **({} if kind == "http" else {"as_json": True}))
    described = {
        part["name"]: (part["datatype"], [int(length) for length in part["shape"]])
        for part in found["inputs"] + found["outputs"]
    }
    assert described == {"point": ("FP32", [-1, 2]), "distances": ("FP32", [-1, 3]), "nearest": ("INT64", [-1])}


@pytest.mark.parametrize(("kind", "binary"), [("http", True), ("http", False), ("grpc", None)])
def test_points_go_and_distances_come(kind: str, binary: bool | None, server: RunningServer) -> None:
    chosen = {} if binary is None else {"binary_data": binary}
    points = np.array([[0, 0], [4, 3], [1, 3]], dtype=np.float32)
    given = KINDS[kind].InferInput("point", list(points.shape), "FP32")
    given.set_data_from_numpy(points, **chosen)
    wanted = [KINDS[kind].InferRequestedOutput(name, **chosen) for name in ("distances", "nearest")]
    with client(kind, server) as triton:
        result = triton.infer("nearest", [given], outputs=wanted)
    assert result.as_numpy("nearest").tolist() == [0, 1, 2]
    assert result.as_numpy("nearest").dtype == np.int64
    distances = result.as_numpy("distances")
    assert distances.dtype == np.float32
    np.testing.assert_allclose(distances[:2], [[0, 4, 3], [5, 3, 4]], rtol=1e-6)

"""A model on protobuf 3.20 and a grpcio of two years ago, served from its image over all four front ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

from chassis.image_test.server import Launch, SandboxedServer
from chassis.oci.file_tree import remove_tree
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.rootfs import Viewer, unpack
from chassis.runtime import omi_pb2, omi_pb2_grpc
from chassis.sandbox.ladder import Tools, climb

OLD = {"grpcio": "1.66.2", "protobuf": "3.20.3"}


@pytest.fixture(scope="module")
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    place = tmp_path_factory.mktemp("image") / "root"
    image = unpack(LayoutReader(Path(os.environ[request.param])), place, viewer=Viewer(65532, 65532))
    yield Launch(image, climb(Tools(Path(os.environ["CHASSIS_TEST_BWRAP"]), Path(os.environ["CHASSIS_TEST_PROOT"]))))
    remove_tree(place)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def served(launch: Launch, log: Path, **environment: str) -> Iterator[tuple[int, int]]:
    """The ports of a server of the image, for gRPC and HTTP, that is ready."""
    ports = free_port(), free_port()
    variables = {"PSC_MODEL_PORT": str(ports[0]), "HTTP_PORT": str(ports[1]), **environment}
    log.write_bytes(b"")
    with SandboxedServer(launch, variables, log, ports) as server:
        end = time.monotonic() + 60
        while server.wait(0.1) is None and time.monotonic() < end:
            with contextlib.suppress(OSError):
                if urllib.request.urlopen(f"http://127.0.0.1:{ports[1]}/v2/health/ready").status == 200:
                    yield ports
                    return
        raise AssertionError(server.log())


def over_omi(port: int) -> bytes:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = omi_pb2.RunRequest(inputs=[omi_pb2.InputItem(input={"input": b"hello"})])
        response = omi_pb2_grpc.ModzyModelStub(channel).Run(request, timeout=20)
        return response.outputs[0].output["results.json"]


def over_v1(port: int, model: str) -> dict:
    body = json.dumps({"instances": ["hello"]}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/{model}:predict", body) as response:
        return json.load(response)["predictions"][0]


def over_v2(module: object, port: int, model: str) -> bytes:
    given = module.InferInput("input", [1], "BYTES")
    given.set_data_from_numpy(np.array([b"hello"], dtype=object))
    with module.InferenceServerClient(f"127.0.0.1:{port}") as client:
        return client.infer(model, [given]).as_numpy("results.json")[0]


def answers(ports: tuple[int, int], model: str) -> list[dict]:
    return [
        json.loads(over_omi(ports[0])),
        json.loads(over_v2(tritonclient.grpc, ports[0], model)),
        json.loads(over_v2(tritonclient.http, ports[1], model)),
        over_v1(ports[1], model),
    ]


@pytest.mark.parametrize("root", ["OLD_IMAGE"], indirect=True)
def test_each_front_end_serves_a_model_on_old_releases(root: Launch, tmp_path: Path) -> None:
    with served(root, tmp_path / "log") as ports:
        expected = {"echo": "hello", **OLD, "server's own": [], "server's path": []}
        assert answers(ports, "versions") == [expected] * 4


@pytest.mark.parametrize("root", ["OLD_IMAGE"], indirect=True)
def test_a_model_whose_wheels_clash_is_not_started_in_the_servers_process(root: Launch, tmp_path: Path) -> None:
    expected = pytest.raises(AssertionError, match=re.escape(f"grpcio is {OLD['grpcio']} for the model"))
    with expected, served(root, tmp_path / "log", CHASSIS_WORKERS="0"):
        pass


@pytest.mark.parametrize("root", ["SAME_IMAGE", "SAME_THREAD_IMAGE"], indirect=True)
def test_wheels_that_agree_are_in_the_image_once(root: Launch, tmp_path: Path) -> None:
    found = [path.parent for path in root.image.path.glob("opt/*/lib/python3*/site-packages/grpc/__init__.py")]
    assert [path.relative_to(root.image.path).parts[1] for path in found] == ["venv"]
    with served(root, tmp_path / "log") as ports:
        assert {answer["grpcio"] for answer in answers(ports, "same_versions")} == {grpc.__version__}

"""Tests of a running server: whose OMI Shutdown ends it."""

from __future__ import annotations

import socket
from pathlib import Path

import grpc
import pytest

from chassis.runtime import omi_pb2, omi_pb2_grpc
from tests.support.running_server import RunningServer, write_model


def _own_address() -> str:
    """An address of this machine that is not the loopback's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return probe.getsockname()[0]


@pytest.mark.parametrize(("allowed", "denied"), [("local", True), ("anyone", False)])
def test_who_may_end_the_server(tmp_path: Path, allowed: str, denied: bool) -> None:
    try:
        address = _own_address()
    except OSError:
        address = ""  # in a network of its own there is the loopback alone
    settings = {"CHASSIS_SHUTDOWN": allowed, "CHASSIS_HOST": "[::]"}
    with RunningServer(write_model(tmp_path, len), settings) as server:
        server.wait_health("SERVING")
        if denied and address:
            with grpc.insecure_channel(f"{address}:{server.port}") as channel:
                with pytest.raises(grpc.RpcError) as caught:
                    omi_pb2_grpc.ModzyModelStub(channel).Shutdown(omi_pb2.ShutdownRequest(), timeout=20)
                assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
            assert server.health_of() == "SERVING"
        assert server.omi.Shutdown(omi_pb2.ShutdownRequest(), timeout=20).status_code == 200
        assert server.wait_end() == 0


def test_nobody_may_end_the_server_where_that_is_set(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, len), {"CHASSIS_SHUTDOWN": "nobody"}) as server:
        with pytest.raises(grpc.RpcError) as caught:
            server.omi.Shutdown(omi_pb2.ShutdownRequest(), timeout=20)
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED

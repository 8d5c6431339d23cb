"""Tests of a running server that is asked to stop: what it still answers, and how it ends."""

from __future__ import annotations

import contextlib
import http.client
import signal
import subprocess
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from chassis.runtime import omi_pb2
from chassis.runtime.settings import read_settings
from tests.support.running_server import RunningServer, write_model
from tests.support.worker_modes import workers

__all__ = ["workers"]


def slow(content: bytes) -> str:
    """Answers after half a second."""
    time.sleep(0.5)
    return content.decode()


def _call(server: RunningServer, content: bytes, timeout: float = 20) -> grpc.Future:
    item = omi_pb2.InputItem(input={"input": content})
    return server.omi.Run.future(omi_pb2.RunRequest(inputs=[item]), timeout=timeout)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_what_was_accepted_and_ends_with_0(tmp_path: Path, number: signal.Signals) -> None:
    with RunningServer(write_model(tmp_path, slow)) as server:
        server.wait_health("SERVING")
        calls = [_call(server, b"one"), _call(server, b"two")]
        _wait_accepted(server)
        server.signal(number)
        _wait_stopping(server)
        assert (server.health_of(""), server.health_of("ModzyModel")) == ("NOT_SERVING", "NOT_SERVING")
        with pytest.raises(grpc.RpcError) as caught:
            server.run(b"late")
        assert (caught.value.code(), caught.value.details()) == (
            grpc.StatusCode.UNAVAILABLE,
            "the server is stopping",
        )
        assert not calls[1].done()
        assert [call.result().outputs[0].output["results.json"] for call in calls] == [b'"one"', b'"two"']
        assert server.wait_end() == 0


def test_no_call_is_lost_when_it_stops_under_load(tmp_path: Path) -> None:
    """Each call is answered, or refused as unavailable, which clients retry elsewhere; none is cancelled."""
    with RunningServer(write_model(tmp_path, len), {"CHASSIS_QUEUE_SIZE": "100000"}) as server:
        server.wait_health("SERVING")

        def call_until_refused(number: int) -> tuple[int, grpc.StatusCode]:
            for answered in range(100_000):
                try:
                    server.run(b"x" * number)
                except grpc.RpcError as error:
                    return answered, error.code()
            raise AssertionError("never refused")

        with ThreadPoolExecutor(32) as pool:
            endings = [pool.submit(call_until_refused, number) for number in range(32)]
            sent_before = [_call(server, b"x") for _ in range(300)]
            _wait_accepted(server)
            server.signal(signal.SIGTERM)
            assert [call.code() for call in sent_before] == [grpc.StatusCode.OK] * 300
            assert {ending.result()[1] for ending in endings} == {grpc.StatusCode.UNAVAILABLE}
        assert server.wait_end() == 0


def test_a_large_answer_leaves_whole_before_the_end(tmp_path: Path) -> None:
    def large(content: bytes) -> str:
        time.sleep(0.3)
        return "x" * 50_000_000

    with RunningServer(write_model(tmp_path, large), {"CHASSIS_DRAIN_TIMEOUT": "60"}) as server:
        server.wait_health("SERVING")
        call = _call(server, b"", timeout=60)
        _wait_accepted(server)
        server.signal(signal.SIGTERM)
        assert len(call.result().outputs[0].output["results.json"]) == 50_000_002
        assert server.wait_end() == 0


def test_what_the_model_registers_for_the_end_is_done(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def register(content: bytes) -> int:
        import atexit

        atexit.register(mark.touch)
        return 0

    with RunningServer(write_model(tmp_path / "model", register)) as server:
        server.run(b"")
        server.signal(signal.SIGTERM)
        assert server.wait_end() == 0
    assert mark.exists()


def test_shutdown_answers_and_drains(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, slow)) as server:
        server.wait_health("SERVING")
        call = _call(server, b"one")
        _wait_accepted(server)
        assert server.omi.Shutdown(omi_pb2.ShutdownRequest(), timeout=20).status_code == 200
        assert call.result().outputs[0].output["results.json"] == b'"one"'
        assert server.wait_end() == 0


def _forever(content: bytes) -> int:
    time.sleep(60)
    return 0


def test_who_waits_when_the_drain_is_over_is_told_so(tmp_path: Path) -> None:
    def ask() -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=20)
        connection.request("POST", "/v1/models/tested:predict", b'{"instances": ["x"]}')
        response = connection.getresponse()
        return response.status, response.read()

    with RunningServer(write_model(tmp_path, _forever), {"CHASSIS_DRAIN_TIMEOUT": "0.3"}) as server:
        server.wait_health("SERVING")
        calls = [_call(server, b"x"), _call(server, b"y")]
        with ThreadPoolExecutor() as threads:
            waiting = threads.submit(ask)
            _wait_queued(server, 2)
            started = time.monotonic()
            server.signal(signal.SIGTERM)
            stopped = server.wait_event("stopped")
            gone = time.monotonic()
            assert server.wait_end() == 0
            assert time.monotonic() - gone < 0.5
            assert time.monotonic() - started < 5
        assert stopped["status"] == 0
        for call in calls:
            assert call.code() is grpc.StatusCode.UNAVAILABLE
            assert "stopped before it was answered" in call.details()
        assert waiting.result() == (503, b'{"error":"the server stopped before it was answered; try again"}')


def test_a_second_signal_ends_at_once_and_within_a_second_is_the_first(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, _forever), {"CHASSIS_DRAIN_TIMEOUT": "60"}) as server:
        server.wait_health("SERVING")
        call = _call(server, b"x")
        _wait_accepted(server)
        started = time.monotonic()
        code = None
        while code is None:
            server.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = server.process.wait(0.2)
        assert code == 128 + signal.SIGTERM
        assert call.code() is grpc.StatusCode.UNAVAILABLE
        assert 1.0 <= time.monotonic() - started < 5


def test_a_server_that_leaves_is_not_ready_and_serves(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, slow), {"CHASSIS_STOP_DELAY": "1.5"}) as server:
        server.wait_health("SERVING")
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        server.wait_health("NOT_SERVING")
        told = time.monotonic() - started
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/v2/health/ready", timeout=20)
        assert server.run(b"x").outputs[0].success
        assert server.wait_end() == 0
        assert told < 1.5 <= time.monotonic() - started < 8


def test_the_delay_is_some_seconds_in_kubernetes_alone(tmp_path: Path) -> None:
    model = write_model(tmp_path, slow)
    found = [
        read_settings({"CHASSIS_MODEL_DIR": str(model), **variables}).stop_delay
        for variables in ({}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    ]
    assert found == [0.0, 5.0]
    whole = read_settings({"CHASSIS_MODEL_DIR": str(model), "KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    assert whole.drain_timeout < 10 - 2.5
    assert whole.stop_delay + whole.drain_timeout < 30 - 2.5


def _wait_stopping(server: RunningServer) -> None:
    """Waits until new calls are refused."""
    until = time.monotonic() + 5
    while server.status().message != "the server is stopping":
        assert time.monotonic() < until


def _wait_accepted(server: RunningServer) -> None:
    """Calls that were sent before this one have been accepted when it returns: they share a connection."""
    server.status()


def _wait_queued(server: RunningServer, items: int) -> None:
    """Waits until so many items wait for the model."""
    until = time.monotonic() + 5
    metrics = f"http://127.0.0.1:{server.http_port}/metrics"
    while f"\nchassis_queue_items {items}\n" not in urllib.request.urlopen(metrics, timeout=20).read().decode():
        assert time.monotonic() < until

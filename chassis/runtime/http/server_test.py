"""Tests of a running server: when an HTTP server answers and when it refuses: full, stuck, stopping, not loaded."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.http_client import call
from tests.support.inference_requests import PREDICT, infer, predict
from tests.support.length_model import lengths
from tests.support.running_server import RunningServer, ServerEndedError, write_model


def slow(content: bytes) -> str:
    """Answers with its input after half a second."""
    time.sleep(0.5)
    return content.decode()


def test_a_full_queue_is_503_with_retry_after_at_once(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, slow), {"CHASSIS_QUEUE_SIZE": "2"}) as server:
        server.wait_health("SERVING")
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: infer(server, "x"), range(8)))
    codes = [answer.status for answer in answers]
    assert codes.count(503) >= 4
    assert codes.count(200) >= 2
    refused = next(answer for answer in answers if answer.status == 503)
    assert int(refused.headers["retry-after"]) >= 1
    assert "the queue holds 2" in refused.json()["error"]


def test_a_call_that_outlasts_run_timeout_is_504_and_it_is_not_ready_meanwhile(tmp_path: Path) -> None:
    def sleepy(content: bytes) -> int:
        time.sleep(float(content))
        return 1

    # In a thread, where nothing can end it.
    with RunningServer(write_model(tmp_path, sleepy, run_timeout=0.3), {"CHASSIS_WORKERS": "0"}) as server:
        server.wait_health("SERVING")
        assert infer(server, "1.5").status == 504
        ready = call(server.http_port, "GET", "/v2/health/ready")
        assert (ready.status, ready.json()["ready"]) == (400, False)
        assert call(server.http_port, "GET", "/v2/health/live").status == 200
        server.wait_health("SERVING")
        assert infer(server, "0").status == 200


def test_sigterm_answers_what_was_accepted_and_ends_with_0(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, slow)) as server:
        server.wait_health("SERVING")
        idle = socket.create_connection(("127.0.0.1", server.http_port))
        kept = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=20)
        kept.request("POST", PREDICT, b'{"instances": ["one"]}')
        with ThreadPoolExecutor(2) as pool:
            other = pool.submit(infer, server, "two")
            until = time.monotonic() + 0.2
            while time.monotonic() < until:
                server.status()
            server.signal(signal.SIGTERM)
            while call(server.http_port, "GET", "/v2/health/ready").status == 200:
                assert time.monotonic() < until + 10
            while server.status().message != "the server is stopping":
                assert time.monotonic() < until + 10
            late = predict(server, "late")
            assert (late.status, late.json()["error"]) == (503, "the server is stopping")
            response = kept.getresponse()
            assert (response.status, response.getheader("connection")) == (200, "close")
            assert json.loads(response.read()) == {"predictions": ["one"]}
            assert other.result().json()["outputs"][0]["data"] == ['"two"']
        assert idle.recv(1) == b""
        assert server.wait_end() == 0
        idle.close()


def test_a_model_that_cannot_be_loaded_is_not_ready_and_says_why(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, b"garbage")) as server:
        server.wait_event("a process of the model is not there")
        ready = call(server.http_port, "GET", "/v2/health/ready")
        assert ready.status == 400
        assert "UnpicklingError" in ready.json()["error"]
        answer = infer(server, "a")
        assert answer.status == 503
        assert "UnpicklingError" in answer.json()["error"]
        assert call(server.http_port, "GET", "/v1/models/tested").status == 503


def test_a_port_in_use_is_an_error_that_names_it(tmp_path: Path) -> None:
    model = write_model(tmp_path, lengths, batch_size=1)
    with (
        RunningServer(model) as server,
        pytest.raises(ServerEndedError, match=rf"cannot listen on 127\.0\.0\.1:{server.http_port}.*HTTP_PORT"),
    ):
        RunningServer(model, {"HTTP_PORT": str(server.http_port)})

"""A predict function that is a generator: its pieces over every front end, one by one on those that stream."""

from __future__ import annotations

import http.client
import json
import queue
import signal
import socket
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc

from tests.support.running_server import RunningServer, write_model


def letters(content: bytes) -> Iterator[str]:
    """Each letter; "!" raises."""
    for letter in content.decode():
        if letter == "!":
            raise ValueError("no good")
        yield letter


async def letters_later(content: bytes) -> AsyncIterator[str]:
    """As `letters`, an async generator."""
    import asyncio

    for letter in content.decode():
        await asyncio.sleep(0)
        if letter == "!":
            raise ValueError("no good")
        yield letter


FUNCTIONS = {"generator": letters, "async generator": letters_later}


@pytest.fixture(params=["0", "1"], ids=["thread", "process"])
def workers(request: pytest.FixtureRequest) -> str:
    return request.param


class Stream:
    """tritonclient's own stream."""

    def __init__(self, server: RunningServer) -> None:
        self.client = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.port}")
        self.answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
        self.client.start_stream(lambda result, error: self.answers.put((result, error)))

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.stop_stream(cancel_requests=True)
        self.client.close()

    def ask(self, content: bytes, **options: Any) -> None:
        given = tritonclient.grpc.InferInput("input", [1], "BYTES")
        given.set_data_from_numpy(np.array([content], dtype=object))
        self.client.async_stream_infer("tested", [given], **options)

    def next(self) -> str:
        result, error = self.answers.get(timeout=20)
        if error is not None:
            return f"error: {error}"
        return json.loads(result.as_numpy("results.json")[0])


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_pieces_come_one_by_one_over_grpc(kind: str, workers: str, tmp_path: Path) -> None:
    model = write_model(tmp_path, FUNCTIONS[kind])
    with RunningServer(model, {"CHASSIS_WORKERS": workers}) as server, Stream(server) as stream:
        server.wait_health("SERVING")
        stream.ask(b"abc", request_id="one")
        assert [stream.next() for _ in range(3)] == ["a", "b", "c"]
        stream.ask(b"d!e")
        assert [stream.next() for _ in range(2)] == ["d", "error: ValueError: no good"]
        stream.ask(b"xy")
        assert [stream.next() for _ in range(2)] == ["x", "y"]


def test_the_last_piece_is_told_where_it_is_asked_for(workers: str, tmp_path: Path) -> None:
    with (
        RunningServer(write_model(tmp_path, letters), {"CHASSIS_WORKERS": workers}) as server,
        Stream(server) as stream,
    ):
        server.wait_health("SERVING")
        stream.ask(b"a", enable_empty_final_response=True)
        finals = [stream.answers.get(timeout=20)[0].get_response().parameters["triton_final_response"] for _ in "12"]
    assert [final.bool_param for final in finals] == [False, True]


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_protocols_without_streams_give_the_whole(kind: str, workers: str, tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, FUNCTIONS[kind]), {"CHASSIS_WORKERS": workers}) as server:
        server.wait_health("SERVING")
        assert server.run(b"abc").outputs[0].output["results.json"] == b'["a","b","c"]'
        body = b'{"instances": ["ab"]}'
        url = f"http://127.0.0.1:{server.http_port}/v1/models/tested:predict"
        assert json.load(urllib.request.urlopen(url, body)) == {"predictions": [["a", "b"]]}
        failed = server.run(b"a!").outputs[0]
        assert not failed.success and failed.output["error"] == b"ValueError: no good"


def test_outputs_of_mappings_come_one_after_another(workers: str, tmp_path: Path) -> None:
    def halves(item: Mapping[str, bytes]) -> Iterator[dict[str, bytes]]:
        yield {"out": item["in"][:2]}
        yield {"out": item["in"][2:]}

    model = write_model(tmp_path, halves, signature="mapping")
    with RunningServer(model, {"CHASSIS_WORKERS": workers}) as server:
        server.wait_health("SERVING")
        assert server.run({"in": b"abcd"}).outputs[0].output["out"] == b"abcd"


def endless(content: bytes) -> Iterator[int]:
    """Counts until it is closed, and writes how far it came to the file that it is told."""
    number = 0
    path = Path(content.decode())
    try:
        while True:
            path.write_text(str(number))
            yield number
            number += 1
    finally:
        path.with_suffix(".closed").write_text(str(number))


def wait_for(path: Path) -> str:
    until = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < until, f"{path} is not there"
        time.sleep(0.01)
    return path.read_text()


def test_a_caller_who_leaves_closes_the_generator(workers: str, tmp_path: Path) -> None:
    count = tmp_path / "count"
    with RunningServer(write_model(tmp_path / "model", endless), {"CHASSIS_WORKERS": workers}) as server:
        server.wait_health("SERVING")
        with Stream(server) as stream:
            stream.ask(str(count).encode())
            assert stream.next() == 0
        wait_for(count.with_suffix(".closed"))
        with Stream(server) as stream:
            stream.ask(str(tmp_path / "other").encode())
            assert stream.next() == 0


def test_the_run_timeout_is_for_each_piece(workers: str, tmp_path: Path) -> None:
    def slower(content: bytes) -> Iterator[int]:
        for number in range(6):
            time.sleep(0.3)
            yield number
        time.sleep(60)
        yield -1

    given = {"CHASSIS_WORKERS": workers, "CHASSIS_RUN_TIMEOUT": "1"}
    with RunningServer(write_model(tmp_path, slower), given) as server, Stream(server) as stream:
        server.wait_health("SERVING")
        stream.ask(b"")
        assert [stream.next() for _ in range(6)] == list(range(6))
        assert "run timeout of 1 s" in str(stream.next())


def test_streams_are_interleaved_over_workers(tmp_path: Path) -> None:
    with (
        RunningServer(write_model(tmp_path / "model", endless), {"CHASSIS_WORKERS": "2"}) as server,
        Stream(server) as one,
        Stream(server) as other,
    ):
        server.wait_health("SERVING")
        one.ask(str(tmp_path / "one").encode())
        other.ask(str(tmp_path / "other").encode())
        assert [stream.next() for _ in range(5) for stream in (one, other)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_sigterm_drains_a_stream(workers: str, tmp_path: Path) -> None:
    def steady(content: bytes) -> Iterator[int]:
        for number in range(5):
            time.sleep(0.1)
            yield number

    with RunningServer(write_model(tmp_path, steady), {"CHASSIS_WORKERS": workers}) as server, Stream(server) as stream:
        server.wait_health("SERVING")
        stream.ask(b"")
        assert stream.next() == 0
        server.signal(signal.SIGTERM)
        assert [stream.next() for _ in range(4)] == [1, 2, 3, 4]
        assert server.wait_end() == 0


class Events:
    """The events of a response, as they come."""

    def __init__(self, server: RunningServer, document: object) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=20)
        self.connection.request("POST", "/v2/models/tested/generate_stream", json.dumps(document))
        self.response = self.connection.getresponse()

    def next(self) -> dict[str, Any] | None:
        line = self.response.readline()
        if not line:
            return None
        assert line.startswith(b"data: ") and self.response.readline() == b"\n"
        return json.loads(line.removeprefix(b"data: "))

    def rest(self) -> list[Any]:
        found = []
        while (event := self.next()) is not None:
            found.append(event.get("results.json", event.get("error")))
        return found


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_pieces_are_server_sent_events(kind: str, workers: str, tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, FUNCTIONS[kind]), {"CHASSIS_WORKERS": workers}) as server:
        server.wait_health("SERVING")
        events = Events(server, {"text_input": "abc"})
        assert events.response.getheader("content-type") == "text/event-stream"
        assert events.rest() == ["a", "b", "c"]
        assert Events(server, {"input": "d!e"}).rest() == ["d", "ValueError: no good"]
        assert Events(server, {"input": ""}).rest() == []
        url = f"http://127.0.0.1:{server.http_port}/v2/models/tested/generate"
        whole = json.load(urllib.request.urlopen(url, b'{"text_input": "ab"}'))
        assert whole == {"model_name": "tested", "model_version": "1", "results.json": ["a", "b"]}


def test_what_fails_before_the_first_piece_has_its_status(workers: str, tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, letters, max_size=3), {"CHASSIS_WORKERS": workers}) as server:
        server.wait_health("SERVING")
        found = [Events(server, document) for document in ({"input": "!"}, {"input": "abcd"}, {"other": 1}, [])]
        assert [events.response.status for events in found] == [422, 413, 400, 400]


def test_a_connection_is_kept_after_a_stream(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, letters)) as server:
        server.wait_health("SERVING")
        connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=20)
        for _ in range(3):
            connection.request("POST", "/v2/models/tested/generate_stream", b'{"input": "ab"}')
            assert connection.getresponse().read().count(b"data: ") == 2


def test_a_client_of_http_1_0_gets_the_events_without_chunks(tmp_path: Path) -> None:
    with RunningServer(write_model(tmp_path, letters)) as server:
        server.wait_health("SERVING")
        with socket.create_connection(("127.0.0.1", server.http_port), timeout=20) as connection:
            body = b'{"input": "ab"}'
            head = b"POST /v2/models/tested/generate_stream HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body)
            connection.sendall(head + body)
            answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert b"chunked" not in answer.lower()
    assert answer.partition(b"\r\n\r\n")[2].count(b"data: ") == 2


def test_a_reader_who_goes_closes_the_generator_over_http(workers: str, tmp_path: Path) -> None:
    count = tmp_path / "count"
    with RunningServer(write_model(tmp_path / "model", endless), {"CHASSIS_WORKERS": workers}) as server:
        server.wait_health("SERVING")
        events = Events(server, {"input": str(count)})
        assert events.next() is not None
        events.response.close()
        events.connection.close()
        wait_for(count.with_suffix(".closed"))


def test_a_reader_who_does_not_read_holds_the_generator_back(workers: str, tmp_path: Path) -> None:
    def large(content: bytes) -> Iterator[str]:
        path = Path(content.decode())
        for number in range(10_000):
            path.write_text(str(number))
            yield "x" * 100_000

    count = tmp_path / "count"
    with RunningServer(write_model(tmp_path / "model", large), {"CHASSIS_WORKERS": workers}) as server:
        server.wait_health("SERVING")
        events = Events(server, {"input": str(count)})
        assert events.next() is not None
        before, still = -1, 0
        until = time.monotonic() + 20
        while still < 20:
            assert time.monotonic() < until
            time.sleep(0.02)
            now = int(count.read_text() or before)
            still = still + 1 if now == before else 0
            before = now
        assert before < 500
        events.connection.close()


def test_the_time_between_pieces_is_nobodys(workers: str, tmp_path: Path) -> None:
    def twice(content: bytes) -> Iterator[int]:
        for number in range(2):
            time.sleep(0.1)
            yield number

    def measured() -> dict[str, float]:
        url = f"http://127.0.0.1:{server.http_port}/metrics"
        lines = urllib.request.urlopen(url, timeout=20).read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    with (
        RunningServer(write_model(tmp_path, twice), {"CHASSIS_WORKERS": workers}) as server,
        Stream(server) as stream,
    ):
        server.wait_health("SERVING")
        stream.ask(b"")
        assert [stream.next(), stream.next()] == [0, 1]
        until = time.monotonic() + 20
        while measured()["chassis_queue_seconds_count"] < 1:
            assert time.monotonic() < until
        found = measured()
    assert 0.2 <= found["chassis_model_seconds_sum"] < 5
    assert found["chassis_queue_seconds_sum"] < 0.2

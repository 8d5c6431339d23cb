"""Tests of chassis.runtime.rpc: callers who send nothing, go away or send too much, and a service that fails."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from chassis.runtime import omi_pb2
from tests.support.marking_model import write_marking_model
from tests.support.running_server import RunningServer, write_model

_RUN = "/ModzyModel/Run"
_IDLE_CALLS = 2000
_CONNECTIONS = 8
_LIMIT = 30.0

# In a process of its own: a server ends with its process.
PROGRAM = """
import asyncio, logging, os

import grpc

from chassis.runtime.core.budget import Budget
from chassis.runtime.core.metrics import Metrics
from chassis.runtime.limits import Limits
from chassis.runtime.rpc.server import GrpcServer, Unary


async def fail(request, call):
    raise KeyError("a secret")


async def ask():
    server = GrpcServer(Limits(message_bytes=1000), 10, Metrics(), Budget(1 << 20))
    server.add("Tested", {"Fail": Unary(bytes, fail, "tested")})
    port = await server.start("127.0.0.1", 0)
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    try:
        await channel.unary_unary("/Tested/Fail")(b"", timeout=20, metadata=(("x-request-id", "seven"),))
    except grpc.aio.AioRpcError as error:
        print(error.code().name, error.details(), dict(error.trailing_metadata())["x-request-id"], flush=True)
    os._exit(0)


logging.basicConfig(format="%(message)s %(method)s %(request_id)s")
asyncio.run(ask())
"""


def nap(content: bytes) -> int:
    """Answers after as many seconds as the input says."""
    time.sleep(float(content))
    return len(content)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(write_model(tmp_path, nap)) as running:
        running.wait_health("SERVING")
        yield running


def _request(content: bytes) -> bytes:
    return omi_pb2.RunRequest(inputs=[omi_pb2.InputItem(input={"input": content})]).SerializeToString()


def _threads(server: RunningServer) -> int:
    return sum(1 for _ in Path(f"/proc/{server.process.pid}/task").iterdir())


def _memory(server: RunningServer) -> int:
    """Bytes that the server's process has in memory."""
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096


def _wait(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + _LIMIT
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.01)


class RawCaller:
    """A connection that begins calls of Run by hand, and sends their messages or none."""

    def __init__(self, server: RunningServer) -> None:
        """Connects (RFC 9113, 3.4)."""
        self._socket = socket.create_connection(("127.0.0.1", server.port), _LIMIT)
        self._socket.settimeout(_LIMIT)
        self._socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, b""))
        self._received = self._socket.makefile("rb")
        self._stream = -1

    def setting(self, number: int) -> int | None:
        """A setting that the server begins with (RFC 9113, 6.5.2); to be asked first."""
        head = self._received.read(9)
        assert head[3] == _SETTINGS
        settings = self._received.read(int.from_bytes(head[:3], "big"))
        found = {settings[at : at + 2]: settings[at + 2 : at + 6] for at in range(0, len(settings), 6)}
        value = found.get(number.to_bytes(2, "big"))
        return None if value is None else int.from_bytes(value, "big")

    def begin(self, message: bytes | None = None) -> int:
        """Begins a call, with its only `message`, or none so far; returns its stream."""
        self._stream += 2
        self._socket.sendall(_frame(_HEADERS, _END_HEADERS, self._stream, _RUN_HEADERS))
        if message is not None:
            framed = b"\0" + len(message).to_bytes(4, "big") + message
            self._socket.sendall(_frame(_DATA, _END_STREAM, self._stream, framed))
        return self._stream

    def wait_answer(self, stream: int) -> None:
        """Reads until the call on `stream` is answered; none of the others is ended before."""
        while True:
            head = self._received.read(9)
            assert len(head) == 9
            self._received.read(int.from_bytes(head[:3], "big"))
            assert head[3] not in (_RST_STREAM, _GOAWAY)
            if head[3] == _HEADERS:
                assert int.from_bytes(head[5:], "big") == stream
                return

    def close(self) -> None:
        """Ends the connection."""
        self._received.close()
        self._socket.close()


_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS = 1, 4
_MAX_CONCURRENT_STREAMS = 3
# RFC 7541: indexed fields and literals without Huffman's code.
_RUN_HEADERS = b"\x83\x86" + b"".join(
    name + bytes([len(value)]) + value
    for name, value in (
        (b"\x04", b"/ModzyModel/Run"),
        (b"\x01", b"localhost"),
        (b"\x0f\x10", b"application/grpc"),
        (b"\x00\x02te", b"trailers"),
    )
)


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


@contextmanager
def _idle_callers(server: RunningServer) -> Iterator[None]:
    """Calls that have begun, and whose callers send nothing, over several connections."""
    callers = [RawCaller(server) for _ in range(_CONNECTIONS)]
    for caller in callers:
        for _ in range(_IDLE_CALLS // _CONNECTIONS):
            caller.begin()
        # Calls of a connection are taken in their order; gRPC refuses some if a thousand are not taken yet.
        caller.wait_answer(caller.begin(_request(b"0")))
    yield
    for caller in callers:
        caller.close()


def test_callers_that_send_nothing_keep_nobody_out(server: RunningServer) -> None:
    with _idle_callers(server):
        assert _threads(server) < 30
        for _ in range(20):
            assert server.run(b"0", timeout=5).outputs[0].success
        assert server.health_of() == "SERVING"


def test_callers_that_send_nothing_do_not_delay_the_end(server: RunningServer) -> None:
    with _idle_callers(server):
        answer = server.omi.Run.future(omi_pb2.RunRequest.FromString(_request(b"0.5")), timeout=_LIMIT)
        server.status()  # over the same connection: the call before has arrived
        server.signal(signal.SIGTERM)
        assert answer.result().outputs[0].success
        assert server.wait_end(5) == 0


def test_callers_that_send_nothing_leave_no_memory_behind(server: RunningServer) -> None:
    most = []
    for _ in range(6):
        with _idle_callers(server):
            most.append(_memory(server))
    assert most[-1] < most[0] + 100_000_000, most  # they took 40 MB each time


def test_a_connection_has_room_for_more_calls_than_the_queue_and_not_for_any_number(server: RunningServer) -> None:
    caller = RawCaller(server)
    assert caller.setting(_MAX_CONCURRENT_STREAMS) == 2024
    caller.close()


def test_a_call_without_a_message_is_refused(server: RunningServer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        server.channel.stream_unary(_RUN)(iter(()), timeout=_LIMIT)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.details() == "/ModzyModel/Run takes one message"


def test_of_several_messages_the_first_is_answered(server: RunningServer) -> None:
    content = server.channel.stream_unary(_RUN)(iter([_request(b"0.1"), b"\xff"]), timeout=_LIMIT)
    assert omi_pb2.RunResponse.FromString(content).outputs[0].output["results.json"] == b"3"


def test_what_a_caller_takes_back_is_not_computed(tmp_path: Path) -> None:
    model, marks = write_marking_model(tmp_path)
    with RunningServer(model) as server:
        server.wait_health("SERVING")
        first = server.omi.Run.future(omi_pb2.RunRequest.FromString(_request(b"first")), timeout=_LIMIT)
        _wait((marks / "first").exists)
        taken_back = [server.omi.Run.future(omi_pb2.RunRequest.FromString(_request(b"late"))) for _ in range(20)]
        server.status()  # over the same connection: they have arrived
        for call in taken_back:
            assert call.cancel()
        assert first.result().outputs[0].success
        assert server.run(b"next").outputs[0].success
    assert sorted(path.name for path in marks.iterdir()) == ["first", "next"]


def test_a_caller_that_vanishes_leaves_nothing_to_wait_for(server: RunningServer) -> None:
    caller = RawCaller(server)
    first = caller.begin(_request(b"0.1"))
    for _ in range(10):
        caller.begin(_request(b"1"))
    caller.wait_answer(first)
    caller.close()
    started = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait_end() == 0
    assert time.monotonic() - started < 5  # ten of these calls would take as many seconds


def test_a_watch_sees_the_server_stop_and_other_names_are_unknown(server: RunningServer) -> None:
    unknown = server.health.Watch(health_pb2.HealthCheckRequest(service="Other"), timeout=_LIMIT)
    assert next(unknown).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch = server.health.Watch(health_pb2.HealthCheckRequest(), timeout=_LIMIT)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    server.signal(signal.SIGTERM)
    assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert server.wait_end() == 0


@pytest.mark.parametrize(
    "path", ["/grpc.health.v1.Health/Watch", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"]
)
def test_a_broken_message_of_a_stream_is_refused(server: RunningServer, path: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        next(server.channel.stream_stream(path)(iter([b"\xff" * 9]), timeout=_LIMIT))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_what_a_service_raises_is_in_the_log_and_not_in_the_answer() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "INTERNAL the server failed; its log holds the reason under the call's id seven\n"
    assert done.stderr.startswith("a call failed /Tested/Fail seven")
    assert "KeyError: 'a secret'" in done.stderr

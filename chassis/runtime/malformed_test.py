"""10,000 malformed requests over HTTP and gRPC: each is refused or answered, none hangs, and the server serves on."""

from __future__ import annotations

import asyncio
import collections
import json
import random
from collections.abc import Awaitable, Callable, Iterator

import grpc
import pytest

from chassis.runtime import omi_pb2
from tests.support.running_server import RunningServer, write_model

_LIMIT = 60.0
_AT_A_TIME = 8
_HTTP_REQUESTS = 4000
_HTTP_STREAMS = 1000
_GRPC_MESSAGES = 4000
_GRPC_STREAMS = 1000

_INFER = {"inputs": [{"name": "input", "datatype": "BYTES", "shape": [1], "data": ["abc"]}]}
_BODIES = {
    "/v2/models/tested/infer": _INFER,
    "/v1/models/tested:predict": {"instances": ["abc", {"b64": "AAAA"}]},
}
_WRONG_VALUES = (None, True, -1, 0, 1e308, 2**70, "", "\ud800", [], {}, [[]], [-1], [2**63], {"b64": "?"}, "x" * 5000)
_WRONG_LINES = (
    b"GET / HTTP/9.9",
    b"POST /v2/models/tested/infer",
    b"\x00\x00 / HTTP/1.1",
    b"GET http://[::1 HTTP/1.1",
    b"GET /%zz%00 HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"get / http/1.1",
)
_WRONG_HEADERS = (
    b"content-length: -1",
    b"content-length: 99999999999999999999",
    b"content-length: 5\r\ncontent-length: 6",
    b"transfer-encoding: chunked\r\ncontent-length: 3",
    b"transfer-encoding: gzip, chunked",
    b"transfer-encoding: identity, nonsense",
    b"inference-header-content-length: -3",
    b"inference-header-content-length: 10000",
    b"no colon here",
    b": no name",
    b"x: " + b"y" * 70_000,
    b"host: \x00\xff",
    b"expect: a miracle",
    b"upgrade: websocket\r\nconnection: upgrade",
    b"content-encoding: br",
    b"traceparent: " + b"-" * 300,
    b"x-request-id: " + b"\xff" * 300,
)
# A ModelInferRequest, written out: a process can import one library that defines it, and other tests import another.
_MODEL_INFER = b"\n\x06tested*\x18\n\x05input\x12\x05BYTES\x1a\x01\x01*\x05B\x03abc"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(write_model(tmp_path_factory.mktemp("model"), len, batch_size=0)) as server:
        server.wait_health("SERVING")
        yield server
        assert server.process.poll() is None
        assert server.run(b"abc").outputs[0].output["results.json"] == b"3"
        assert server.health_of("ModzyModel") == "SERVING"


def _broken(choices: random.Random, content: bytes) -> bytes:
    """`content` with bytes changed, cut, doubled or put in."""
    result = bytearray(content)
    for _ in range(choices.randint(1, 4)):
        at = choices.randrange(len(result) + 1)
        match choices.randrange(4):
            case 0 if result:
                result[at % len(result)] = choices.randrange(256)
            case 1:
                del result[at : at + choices.randint(1, 20)]
            case 2:
                result[at:at] = choices.randbytes(choices.randint(1, 20))
            case _:
                result[at:at] = result[: choices.randint(0, 40)]
    return bytes(result)


def _wrong_document(choices: random.Random, value: object) -> object:
    """`value` with a wrong value somewhere."""
    if isinstance(value, dict) and value and choices.random() < 0.8:
        name = choices.choice(list(value))
        if choices.random() < 0.1:
            return {key: other for key, other in value.items() if key != name}
        return {**value, name: _wrong_document(choices, value[name])}
    if isinstance(value, list) and value and choices.random() < 0.8:
        return [_wrong_document(choices, value[0]), *value[1:]]
    return choices.choice(_WRONG_VALUES)


def _http_request(choices: random.Random) -> bytes:
    """A request whose framing is right and whose content is not."""
    path = choices.choice(list(_BODIES))
    body = json.dumps(_wrong_document(choices, _BODIES[path])).encode()
    if choices.random() < 0.5:
        body = _broken(choices, json.dumps(_BODIES[path]).encode())
    extra = choices.choice([b"", b"", b"inference-header-content-length: %d\r\n" % choices.randint(0, 200)])
    return b"POST %s HTTP/1.1\r\nhost: a\r\n%scontent-length: %d\r\n\r\n%s" % (path.encode(), extra, len(body), body)


def _http_stream(choices: random.Random) -> bytes:
    """What is hardly a request at all."""
    body = json.dumps(_INFER).encode()
    line = choices.choice((*_WRONG_LINES, b"POST /v2/models/tested/infer HTTP/1.1"))
    headers = choices.sample(_WRONG_HEADERS, choices.randint(0, 2))
    content = b"\r\n".join([line, *headers, b"content-length: %d" % len(body), b"", body])
    match choices.randrange(4):
        case 0:
            return choices.randbytes(choices.randint(1, 3000))
        case 1:
            return _broken(choices, content)
        case _:
            return content


def _grpc_stream(choices: random.Random) -> bytes:
    """Bytes that begin as HTTP/2 does, or do not: frames of any type, flags, length and stream."""
    frames = b""
    for _ in range(choices.randint(0, 6)):
        payload = choices.randbytes(choices.choice([0, 1, 4, 5, 6, 8, 9, 200]))
        length = len(payload) if choices.random() < 0.8 else choices.randrange(1 << 24)
        stream = choices.choice([0, 1, 2, 3, 1 << 30])
        header = length.to_bytes(3, "big") + bytes([choices.randrange(12), choices.randrange(256)])
        frames += header + stream.to_bytes(4, "big") + payload
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    start = choices.choice([_PREFACE + settings, _PREFACE, _broken(choices, _PREFACE), b""])
    return start + frames + choices.choice([b"", choices.randbytes(50)])


async def _in_parallel(count: int, ask: Callable[[random.Random], Awaitable[None]]) -> None:
    """Calls `ask` `count` times, some at a time, each with choices of its own."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            async with asyncio.timeout(_LIMIT):
                await ask(random.Random(number))

    await asyncio.gather(*(work() for _ in range(_AT_A_TIME)))


async def _read_response(reader: asyncio.StreamReader) -> int:
    """Reads one response to its end; returns its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    assert b"Traceback" not in body
    return int(head.split(b" ")[1])


def test_http_requests_with_wrong_content_are_refused_on_connections_that_last(server: RunningServer) -> None:
    statuses: collections.Counter[int] = collections.Counter()
    connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(choices: random.Random) -> None:
        if not connections:
            connections.append(await asyncio.open_connection("127.0.0.1", server.http_port))
        connection = connections.pop()
        connection[1].write(_http_request(choices))
        statuses[await _read_response(connection[0])] += 1
        connections.append(connection)

    async def scenario() -> None:
        await _in_parallel(_HTTP_REQUESTS, ask)
        for _, writer in connections:
            writer.close()

    asyncio.run(scenario())
    assert statuses.total() == _HTTP_REQUESTS
    assert set(statuses) <= {200, 400, 413, 422}
    assert statuses[400] > _HTTP_REQUESTS / 2


def test_http_streams_that_are_no_requests_end(server: RunningServer) -> None:
    statuses: collections.Counter[int] = collections.Counter()

    async def ask(choices: random.Random) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.http_port, limit=1 << 20)
        try:
            writer.write(_http_stream(choices))
            writer.write_eof()
            received = await reader.read()
        except ConnectionError:
            statuses[0] += 1
            return
        finally:
            writer.close()
        assert b"Traceback" not in received
        statuses[int(received[9:12]) if received.startswith(b"HTTP/1.1 ") else 0] += 1
        assert not received or received.startswith(b"HTTP/1.1 ")

    asyncio.run(_in_parallel(_HTTP_STREAMS, ask))
    assert statuses.total() == _HTTP_STREAMS
    assert not {status for status in statuses if status >= 500} - {501, 505}, statuses
    assert statuses[400] > _HTTP_STREAMS / 4


def test_grpc_messages_that_are_broken_are_refused_on_channels_that_last(server: RunningServer) -> None:
    run = omi_pb2.RunRequest(inputs=[omi_pb2.InputItem(input={"input": b"abc"})]).SerializeToString()
    methods = {"/ModzyModel/Run": run, "/inference.GRPCInferenceService/ModelInfer": _MODEL_INFER}
    codes: collections.Counter[grpc.StatusCode] = collections.Counter()

    async def scenario() -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:

            async def ask(choices: random.Random) -> None:
                method = choices.choice(list(methods))
                message = _broken(choices, methods[method])
                try:
                    await channel.unary_unary(method)(message, timeout=_LIMIT)
                    codes[grpc.StatusCode.OK] += 1
                except grpc.aio.AioRpcError as error:
                    assert "Traceback" not in (error.details() or "")
                    codes[error.code()] += 1

            await _in_parallel(_GRPC_MESSAGES, ask)

    asyncio.run(scenario())
    assert codes.total() == _GRPC_MESSAGES
    expected = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OK}
    assert set(codes) <= expected, codes
    assert codes[grpc.StatusCode.INVALID_ARGUMENT] > _GRPC_MESSAGES / 2


def test_grpc_streams_that_are_no_http2_end(server: RunningServer) -> None:
    ended = 0

    async def ask(choices: random.Random) -> None:
        nonlocal ended
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            writer.write(_grpc_stream(choices))
            writer.write_eof()
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()
        ended += 1

    asyncio.run(_in_parallel(_GRPC_STREAMS, ask))
    assert ended == _GRPC_STREAMS
    assert server.run(b"abcd").outputs[0].output["results.json"] == b"4"

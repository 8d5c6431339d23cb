"""What Bazel asked of an engine, from its log of calls, and what the engine takes to answer the same once more.

Bazel writes the log with `--remote_grpc_log`: messages `LogEntry` of its `remote_execution_log.proto`, each behind its
length. Read here are a call's method, its times and its request, whose bytes are sent again as they are.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

_METHOD, _DETAILS, _START, _END = 3, 4, 5, 6
_REQUEST = 1
"""In what is told of a call, whichever its kind."""

_UNARY = ("ActionCache/GetActionResult", "ContentAddressableStorage/FindMissingBlobs")
_STREAMS = ("ByteStream/Read",)
_LIMIT_S = 600


@dataclass(frozen=True, slots=True)
class Call:
    """One that Bazel made: the method as `package.Service/Method`, seconds until its end, and the request's bytes."""

    method: str
    seconds: float
    request: bytes

    @property
    def name(self) -> str:
        """The method without the package."""
        return self.method.rpartition(".")[2]


def read_calls(log: Path) -> list[Call]:
    """All calls of a build."""
    rest, calls = memoryview(log.read_bytes()), []
    while rest:
        size, rest = _varint(rest)
        entry = dict(_fields(rest[:size]))
        rest = rest[size:]
        seconds = _seconds(entry[_END]) - _seconds(entry[_START])
        [details] = [value for _, value in _fields(entry.get(_DETAILS, b""))] or [b""]
        request = next((bytes(value) for number, value in _fields(details) if number == _REQUEST), b"")
        calls.append(Call(bytes(entry[_METHOD]).decode(), seconds, request))
    return calls


def ask_again(calls: Sequence[Call], address: str, at_a_time: int) -> tuple[int, float]:
    """How many of the calls only read, and the seconds that the engine takes to answer these once more."""
    reading = [call for call in calls if call.name in (*_UNARY, *_STREAMS)]
    with grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)]) as channel:
        grpc.channel_ready_future(channel).result(_LIMIT_S)

        def ask(call: Call) -> int:
            if call.name in _STREAMS:
                return sum(map(len, channel.unary_stream(f"/{call.method}")(call.request, timeout=_LIMIT_S)))
            return len(channel.unary_unary(f"/{call.method}")(call.request, timeout=_LIMIT_S))

        with ThreadPoolExecutor(at_a_time) as pool:
            start = time.perf_counter()
            list(pool.map(ask, reading))
            return len(reading), time.perf_counter() - start


def _seconds(timestamp: memoryview) -> float:
    fields = dict(_fields(timestamp))
    return fields.get(1, 0) + fields.get(2, 0) / 1e9


def _fields(message: memoryview | bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message of protocol buffers: numbers, and what has a length as a memoryview."""
    rest = memoryview(message)
    while rest:
        key, rest = _varint(rest)
        if key & 7 == 0:
            value, rest = _varint(rest)
            yield key >> 3, value
        else:
            size, rest = _varint(rest) if key & 7 == 2 else (8 if key & 7 == 1 else 4, rest)
            yield key >> 3, rest[:size]
            rest = rest[size:]


def _varint(rest: memoryview) -> tuple[int, memoryview]:
    value = shift = 0
    for place, byte in enumerate(rest):
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, rest[place + 1 :]
        shift += 7
    raise ValueError("a number of protocol buffers breaks off")

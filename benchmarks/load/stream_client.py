"""Reads streams of a server, one after another, and prints what it measured as JSON: tokens are what is counted.

    python -m benchmarks.load.stream_client sse|grpc PORT TOKENS SECONDS

`p50` and `p99` are of the time to the first token.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import AsyncIterator

import grpc

from chassis.runtime import inference_pb2

_END = b"\n\r\n0\r\n\r\n"
"""The end of an event, and the last chunk: a head may end as that does."""


def _read_events(port: int, tokens: int, seconds: float) -> tuple[int, list[float], int]:
    body = json.dumps({"input": str(tokens)}).encode()
    head = f"POST /v2/models/tested/generate_stream HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    found, firsts, errors = 0, [], 0
    end = time.perf_counter() + seconds
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while (began := time.perf_counter()) < end:
            connection.sendall(head.encode() + body)
            content, first = b"", 0.0
            while not content.endswith(_END):
                content += connection.recv(1 << 16)
                if not first and b"data: " in content:
                    first = time.perf_counter() - began
            firsts.append(first)
            count = content.count(b"data: ")
            errors += count != tokens
            found += count
    return found, firsts, errors


async def _read_messages(port: int, tokens: int, seconds: float) -> tuple[int, list[float], int]:
    request = inference_pb2.ModelInferRequest(model_name="tested")
    given = request.inputs.add(name="input", datatype="BYTES", shape=[1])
    given.contents.bytes_contents.append(str(tokens).encode())
    message = request.SerializeToString()
    found, firsts = 0, []
    end = time.perf_counter() + seconds
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
        while (began := time.perf_counter()) < end:

            async def one() -> AsyncIterator[bytes]:
                yield message

            first = 0.0
            async for _ in method(one()):
                first = first or time.perf_counter() - began
                found += 1
            firsts.append(first)
    return found, firsts, found != tokens * len(firsts)


if __name__ == "__main__":
    kind, port, tokens, seconds = sys.argv[1:]
    started = time.perf_counter()
    if kind == "sse":
        count, firsts, errors = _read_events(int(port), int(tokens), float(seconds))
    else:
        count, firsts, errors = asyncio.run(_read_messages(int(port), int(tokens), float(seconds)))
    elapsed = time.perf_counter() - started
    firsts.sort()
    measured = {
        "requests": count,
        "seconds": elapsed,
        "p50": firsts[len(firsts) // 2],
        "p99": firsts[len(firsts) * 99 // 100],
        "errors": int(errors),
    }
    print(json.dumps(measured))

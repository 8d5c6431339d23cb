"""Asks a gRPC server for `ModzyModel.Run` over four channels and prints what it measured as JSON.

    python -m benchmarks.load.grpc_client PORT CONCURRENCY SECONDS FILE

FILE holds the message. Answers are compared with the first one as they come, and not parsed: the load is to cost less
than what it measures.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import grpc

_CHANNELS = 4


async def _measure(port: int, concurrency: int, seconds: float, message: bytes) -> dict[str, float]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) for _ in range(_CHANNELS)]
    calls = [channel.unary_unary("/ModzyModel/Run") for channel in channels]
    expected = (await asyncio.gather(*(call(message, wait_for_ready=True, timeout=20) for call in calls)))[0]
    latencies: list[float] = []
    errors = 0
    started = time.perf_counter()
    end = started + seconds

    async def ask(number: int) -> None:
        nonlocal errors
        call = calls[number % _CHANNELS]
        while (began := time.perf_counter()) < end:
            try:
                errors += await call(message) != expected
            except grpc.RpcError:
                errors += 1
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(ask(number) for number in range(concurrency)))
    elapsed = time.perf_counter() - started
    await asyncio.gather(*(channel.close() for channel in channels))
    latencies.sort()
    return {
        "requests": len(latencies),
        "seconds": elapsed,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
        "errors": errors,
    }


if __name__ == "__main__":
    port, concurrency, seconds, path = sys.argv[1:]
    measured = asyncio.run(_measure(int(port), int(concurrency), float(seconds), Path(path).read_bytes()))
    print(json.dumps(measured))

"""The floors of gRPC: each message is sent back as it came, by grpc.aio on asyncio's loop or uvloop's, or by the core.

Of `sink` none is: what the memory of a large one shows is what gRPC itself takes.

python -m benchmarks.servers.echo_grpc PORT [uvloop|core|sink]
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

import grpc

_OPTIONS = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1))


async def _echo(request: bytes, _: grpc.aio.ServicerContext) -> bytes:
    return request


async def _sink(request: bytes, _: grpc.aio.ServicerContext) -> bytes:
    return b""


async def _serve(port: int, answer: Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]] = _echo) -> None:
    server = grpc.aio.server(options=_OPTIONS)
    method = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("ModzyModel", {"Run": method}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


async def _serve_from_core(port: int) -> None:
    """As this project's server takes calls, and nothing else of it."""
    from chassis.runtime.rpc.completion import CompletionServer, Method

    server = CompletionServer(
        asyncio.get_running_loop(), _OPTIONS, lambda call: None, most_calls=1 << 16, most_bytes=1 << 30
    )
    server.bind(f"127.0.0.1:{port}")
    server.start({"/ModzyModel/Run": Method(lambda call, content: call.finish(content=content))})
    await asyncio.Event().wait()


if __name__ == "__main__":
    kind = "".join(sys.argv[2:])
    if kind in ("uvloop", "core"):
        import uvloop

        uvloop.install()
    port = int(sys.argv[1])
    asyncio.run(_serve_from_core(port) if kind == "core" else _serve(port, _sink if kind == "sink" else _echo))

"""The floors of gRPC: each message is sent back as it came, by grpc.aio on asyncio's loop or uvloop's, or by the core.

python -m benchmarks.servers.echo_grpc PORT [uvloop|core]
"""

from __future__ import annotations

import asyncio
import sys

import grpc

_OPTIONS = (("grpc.so_reuseport", 0),)


async def _echo(request: bytes, _: grpc.aio.ServicerContext) -> bytes:
    return request


async def _serve(port: int) -> None:
    server = grpc.aio.server(options=_OPTIONS)
    method = grpc.unary_unary_rpc_method_handler(_echo)
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
    asyncio.run((_serve_from_core if kind == "core" else _serve)(int(sys.argv[1])))

"""The floor of gRPC: grpc.aio sends each message back as it came, with asyncio's loop or uvloop's.

python -m benchmarks.servers.echo_grpc PORT [uvloop]
"""

from __future__ import annotations

import asyncio
import sys

import grpc


async def _echo(request: bytes, _: grpc.aio.ServicerContext) -> bytes:
    return request


async def _serve(port: int) -> None:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    method = grpc.unary_unary_rpc_method_handler(_echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("ModzyModel", {"Run": method}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    if sys.argv[2:] == ["uvloop"]:
        import uvloop

        uvloop.install()
    asyncio.run(_serve(int(sys.argv[1])))

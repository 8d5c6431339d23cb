"""Tests of chassis.runtime.grpc_server with a service that fails."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: grpc.aio and the synchronous clients of other tests do not share one.
PROGRAM = """
import asyncio, logging, os, sys

import grpc

from chassis.runtime.core.metrics import Metrics
from chassis.runtime.grpc_server import GrpcServer


class FailingService(grpc.GenericRpcHandler):
    def service(self, details):
        async def fail(request, context):
            raise KeyError("a secret")

        return grpc.unary_unary_rpc_method_handler(fail, bytes, bytes) if details.method == "/Tested/Fail" else None


async def ask():
    server = GrpcServer(1000, Metrics())
    server.add(
        "Tested",
        lambda target: target.add_generic_rpc_handlers((FailingService(),)),
        protocol="tested",
        model_methods=("Fail",),
    )
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


def test_what_a_service_raises_is_in_the_log_and_not_in_the_answer() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "INTERNAL the server failed; its log holds the reason under the call's id seven\n"
    assert done.stderr.startswith("a call failed /Tested/Fail seven")
    assert "KeyError: 'a secret'" in done.stderr

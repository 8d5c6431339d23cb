"""Servers for tests of chassis_test's runner: programs that the real image's Python runs, good and bad.

`CHASSIS_TEST_IMAGE` is an image layout for this machine's CPU whose Python has gRPC, `CHASSIS_TEST_BWRAP` bubblewrap,
`CHASSIS_TEST_PROOT` PRoot.
"""

from __future__ import annotations

import os
from pathlib import Path

from chassis.sandbox.ladder import Tools

# Answers every request with {"sum": …}; hooks are set by the lines that come before it.
SERVER = """
import glob, json, os, sys, threading
sys.path += glob.glob("/opt/chassis/lib/python3*/site-packages")
from concurrent import futures
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from chassis.runtime import omi_pb2
def run(request, context):
    on_run()
    outputs = [omi_pb2.OutputItem(output={"results.json": one.input["input"]}, success=True) for one in request.inputs]
    return omi_pb2.RunResponse(status_code=200, outputs=outputs)
def shutdown(request, context):
    stop.set()
    return omi_pb2.ShutdownResponse(status_code=200)
stop = threading.Event()
server = grpc.server(futures.ThreadPoolExecutor(2))
methods = {
    "Run": (run, omi_pb2.RunRequest), "Shutdown": (shutdown, omi_pb2.ShutdownRequest),
}
handlers = {
    name: grpc.unary_unary_rpc_method_handler(
        function, request_deserializer=kind.FromString, response_serializer=lambda answer: answer.SerializeToString())
    for name, (function, kind) in methods.items()
}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("ModzyModel", handlers),))
servicer = health.HealthServicer()
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
server.add_insecure_port("127.0.0.1:" + os.environ["PSC_MODEL_PORT"])
server.start()
servicer.set("", health_pb2.HealthCheckResponse.SERVING)
print("serving", flush=True)
stop.wait()
server.stop(1).wait()
after_shutdown()
"""
QUIET = "on_run = after_shutdown = lambda: None\n"


def needed(variable: str) -> Path:
    path = os.environ.get(variable, "")
    if not path or not Path(path).exists():
        raise LookupError(f"{variable} must be a path, found {path!r}; run this with bazel test, which sets it")
    return Path(path).absolute()


def tools() -> Tools:
    """The programs of the ladder."""
    return Tools(needed("CHASSIS_TEST_BWRAP"), needed("CHASSIS_TEST_PROOT"))


def python(script: str) -> tuple[str, ...]:
    """The entrypoint that runs a script with the image's Python."""
    return ("/opt/venv/bin/python", "-c", script)

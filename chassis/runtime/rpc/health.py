"""grpc.health.v1, with one status for every name."""

from __future__ import annotations

import asyncio

import grpc
from grpc_health.v1 import health_pb2

from chassis.runtime.rpc.call import Call, CallError

SERVICE = "grpc.health.v1.Health"
REQUEST = health_pb2.HealthCheckRequest.FromString

_RESPONSE = health_pb2.HealthCheckResponse


class Health:
    """Says NOT_SERVING at first.

    Attributes:
      names: of the services that are known; the empty one stands for all of them.
    """

    def __init__(self) -> None:
        self.names = {""}
        self._serving = False
        self._change = asyncio.Event()

    def report(self, serving: bool) -> None:
        """From now on all names are serving, or none is."""
        self._serving = serving
        self._change.set()
        self._change = asyncio.Event()

    async def check(self, request: health_pb2.HealthCheckRequest, _: Call) -> health_pb2.HealthCheckResponse:
        """The status of a name.

        Raises:
          CallError: NOT_FOUND for one that is not known.
        """
        if request.service not in self.names:
            raise CallError(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service!r}")
        return _RESPONSE(status=self._status(request.service))

    async def watch(self, call: Call) -> None:
        """Sends the status of a name, and again whenever it changes, until the caller is gone."""
        request = REQUEST(await call.receive() or b"")
        sent = None
        while True:
            change, status = self._change, self._status(request.service)
            if status != sent:
                await call.send(_RESPONSE(status=status).SerializeToString())
                sent = status
            await change.wait()

    def _status(self, service: str) -> int:
        status: int = _RESPONSE.SERVICE_UNKNOWN
        if service in self.names:
            status = _RESPONSE.SERVING if self._serving else _RESPONSE.NOT_SERVING
        return status

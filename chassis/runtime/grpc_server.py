"""The gRPC server that front ends register with: health, reflection, limits and one address."""

from __future__ import annotations

from collections.abc import Callable

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from chassis.errors import ChassisError
from chassis.runtime.core.service import State


class AddressInUseError(ChassisError):
    """An address that cannot be listened on."""


class GrpcServer:
    """A grpc.aio server with grpc.health.v1 and reflection for the services that are added to it."""

    def __init__(self, max_request_bytes: int) -> None:
        """Makes a server that reads messages of up to `max_request_bytes`."""
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", max_request_bytes),
                ("grpc.max_send_message_length", -1),
                # Without this a second server on the port would start, and get half of the calls.
                ("grpc.so_reuseport", 0),
            ]
        )
        self._health = _Health()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._names = [health.SERVICE_NAME, reflection.SERVICE_NAME]

    def add(self, name: str, register: Callable[[grpc.aio.Server], None]) -> None:
        """Adds the service `name`, a full protobuf name."""
        register(self._server)
        self._names.append(name)
        self._health.names.append(name)

    async def start(self, host: str, port: int) -> int:
        """Listens on `host` and `port`; returns the port, which is a free one where `port` is 0.

        Raises:
          AddressInUseError: the address cannot be listened on.
        """
        reflection.enable_server_reflection(self._names, self._server)
        try:
            bound = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError:
            bound = 0
        if not bound:
            raise AddressInUseError(
                f"cannot listen on {host}:{port}: is another server there? "
                "PSC_MODEL_PORT and CHASSIS_HOST choose another address"
            )
        await self._server.start()
        return bound

    async def report(self, state: State) -> None:
        """Tells health checks whether the model answers."""
        await self._health.report(state is State.READY)

    async def stop(self, grace: float) -> None:
        """Accepts no more calls; those accepted are ended after `grace` seconds."""
        await self._server.stop(grace)


class _Health(health.aio.HealthServicer):
    """grpc.health.v1 with one status for every name, NOT_SERVING at first."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = [health.OVERALL_HEALTH]

    async def report(self, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        for name in self.names:
            await self.set(name, status.SERVING if serving else status.NOT_SERVING)

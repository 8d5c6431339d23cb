"""The front ends of one model: what is chosen is imported, started and drained, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from chassis.declaration.front_ends import GRPC_SERVERS, HTTP_SERVERS
from chassis.runtime.core.service import ModelService, ModelState
from chassis.runtime.settings import Settings

if TYPE_CHECKING:
    from chassis.runtime.http.server import HttpServer
    from chassis.runtime.rpc.server import GrpcServer


class FrontEnds:
    """The gRPC server and the HTTP server, each if `settings.servers` names one of its protocols."""

    def __init__(self, settings: Settings, model: ModelService, stop: Callable[[str], None]) -> None:
        """Takes what to call, with a reason, when a caller asks the server to stop."""
        self.ports: dict[str, int] = {}
        """Of what listens: `port` of gRPC, `http_port` of HTTP, `metrics_port` of metrics alone."""
        self._settings = settings
        self._model = model
        self._stop = stop
        self._grpc: GrpcServer | None = None
        self._http: HttpServer | None = None
        self._metrics: HttpServer | None = None

    async def start(self) -> None:
        """Listens.

        Raises:
          AddressInUseError, HttpAddressError: a port cannot be listened on.
        """
        settings = self._settings
        if set(settings.servers) & set(HTTP_SERVERS):
            from chassis.runtime.http.front_end import http_server

            self._http = http_server(settings, self._model)
            self.ports["http_port"] = await self._http.start(settings.host, settings.http_port)
        if settings.metrics_port is not None:
            from chassis.runtime.http.front_end import metrics_server

            self._metrics = metrics_server(settings, self._model)
            self.ports["metrics_port"] = await self._metrics.start(settings.host, settings.metrics_port)
        if set(settings.servers) & set(GRPC_SERVERS):
            await self._start_grpc()

    async def _start_grpc(self) -> None:
        from chassis.runtime.rpc.server import GrpcServer

        settings = self._settings
        self._grpc = GrpcServer(settings.limits, settings.queue_size, self._model.metrics, self._model.budget)
        if "omi" in settings.servers:
            from chassis.runtime import omi

            description = omi.read_status(f"{settings.model_dir}/status.pb")
            self._grpc.add(
                omi.SERVICE, omi.OmiService(self._model, description, self._stop, settings.shutdown).methods()
            )
        if "v2-grpc" in settings.servers:
            from chassis.runtime.inference import grpc_front_end
            from chassis.runtime.inference.extensions import Extensions

            inference = grpc_front_end.InferenceService(Extensions.of(settings, self._model))
            self._grpc.add(grpc_front_end.SERVICE, inference.methods())
        self.ports["port"] = await self._grpc.start(settings.host, settings.port)

    def report(self, state: ModelState) -> None:
        """Tells health services; those of HTTP look themselves."""
        if self._grpc is not None:
            self._grpc.report(state)
        if self._http is not None and state in (ModelState.LEAVING, ModelState.STOPPING):
            self._http.begin_to_close()

    async def quiet(self, timeout: float) -> None:
        """Returns when no call for the model comes any more, after `timeout` seconds at the latest."""
        await asyncio.gather(*(server.quiet(timeout) for server in (self._grpc, self._http) if server is not None))

    async def wait_answered(self, end: float) -> bool:
        """Waits until every answer has left; False if some have not at `end` on the loop's clock."""
        left = max(0.0, end - asyncio.get_running_loop().time())
        servers = [server for server in (self._grpc, self._http) if server is not None]
        return all(await asyncio.gather(*(server.wait_answered(left) for server in servers)))

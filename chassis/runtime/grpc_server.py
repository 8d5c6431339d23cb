"""The gRPC server that front ends register with: health, reflection, limits and one address."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from chassis.errors import ChassisError
from chassis.runtime.core.caller import Caller, identify
from chassis.runtime.core.metrics import Metrics
from chassis.runtime.core.service import State

_LOG = logging.getLogger(__name__)


class AddressInUseError(ChassisError):
    """An address that cannot be listened on."""


_REFLECTION = "grpc.reflection.v1alpha.ServerReflection"

_PAUSE = 0.03
_ROUNDS = 10
"""Seconds, and turns of the event loop, without a call that tell that none is on its way."""


class GrpcServer:
    """A grpc.aio server with grpc.health.v1 and reflection for the services that are added to it."""

    def __init__(self, max_request_bytes: int, metrics: Metrics) -> None:
        """Makes a server that reads messages of up to `max_request_bytes`, and counts those that it cannot read."""
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", max_request_bytes),
                ("grpc.max_send_message_length", -1),
                # Without this a second server on the port would start, and get half of the calls.
                ("grpc.so_reuseport", 0),
            ]
        )
        self._arrivals = _Arrivals(self._server, metrics)
        self._health = _Health()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._arrivals)
        self._names = [health.SERVICE_NAME, _REFLECTION]

    def add(
        self, name: str, register: Callable[[object], None], *, protocol: str, model_methods: Iterable[str]
    ) -> None:
        """Adds the service `name`, a full protobuf name; `model_methods` of its `protocol` call the model."""
        register(self._arrivals)
        self._arrivals.counted.update({f"/{name}/{method}": protocol for method in model_methods})
        self._names.append(name)
        self._health.names.append(name)

    async def start(self, host: str, port: int) -> int:
        """Listens on `host` and `port`; returns the port, which is a free one where `port` is 0.

        Raises:
          AddressInUseError: the address cannot be listened on.
        """
        self._server.add_generic_rpc_handlers((_Reflection(tuple(self._names)),))
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

    async def quiet(self, timeout: float) -> None:
        """Returns when no call for the model comes any more, after `timeout` seconds at the latest.

        Calls that have arrived wait inside gRPC until they are taken one by one.
        """
        loop = asyncio.get_running_loop()
        until, rounds = loop.time() + timeout, 0
        while rounds < _ROUNDS and loop.time() < until:
            before = self._arrivals.count
            await asyncio.sleep(_PAUSE / _ROUNDS)
            rounds = rounds + 1 if self._arrivals.count == before else 0


def traced(context: grpc.aio.ServicerContext, request_id: str = "") -> Caller:
    """The caller that a call's metadata names, by `x-request-id`, else `request_id`, and `traceparent`.

    Both go back with the answer, as trailing metadata.
    """
    traceparent = None
    for key, value in context.invocation_metadata() or ():
        if key == "x-request-id":
            request_id = value
        elif key == "traceparent":
            traceparent = value
    caller = identify(request_id, traceparent)
    if caller.traceparent:
        context.set_trailing_metadata((("x-request-id", caller.request_id), ("traceparent", caller.traceparent)))
    else:
        context.set_trailing_metadata((("x-request-id", caller.request_id),))
    return caller


class OpenCalls:
    """Counts the calls of a front end from their start until their answers have left."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    def add(self, context: grpc.aio.ServicerContext) -> None:
        """Counts a call."""
        self._count += 1
        self._none.clear()
        context.add_done_callback(self._done)

    async def wait_none(self, timeout: float) -> bool:
        """Waits until there is none; False where there still are some after `timeout` seconds."""
        try:
            await asyncio.wait_for(self._none.wait(), timeout)
        except TimeoutError:
            return False
        return True

    def _done(self, _: object) -> None:
        self._count -= 1
        if not self._count:
            self._none.set()


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """Stands for a message that is not what its method takes."""

    reason: str


class _Arrivals(grpc.GenericRpcHandler):
    """Stands between a server and the services added to it.

    Counts the calls of the `counted` methods, which have a protocol's name, when they are taken; answers messages that
    cannot be read, and what a service fails with, as a caller may see it.
    """

    def __init__(self, server: grpc.aio.Server, metrics: Metrics) -> None:
        self.count = 0
        self.counted: dict[str, str] = {}
        self._metrics = metrics
        self._handlers: list[grpc.GenericRpcHandler] = []
        self._guarded: dict[str, grpc.RpcMethodHandler] = {}
        server.add_generic_rpc_handlers((self,))

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """What generated code calls on a server."""
        self._handlers.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler]) -> None:
        """What generated code calls on a server beside the other; grpc.aio does nothing with it either."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        method = handler_call_details.method
        if method in self.counted:
            self.count += 1
        if method in self._guarded:
            return self._guarded[method]
        for handler in self._handlers:
            found = handler.service(handler_call_details)
            if found is not None:
                self._guarded[method] = guarded = self._guard(method, found)
                return guarded
        return None

    def _guard(self, method: str, handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
        if handler.unary_unary is None:
            return handler
        behave: Callable[[object, grpc.aio.ServicerContext], Awaitable[object]] = handler.unary_unary

        def read(content: bytes) -> object:
            try:
                return handler.request_deserializer(content)
            except DecodeError as error:
                return _Unreadable(str(error))

        async def answer(request: object, context: grpc.aio.ServicerContext) -> object:
            if type(request) is _Unreadable:
                if method in self.counted:
                    self._metrics.count_request(self.counted[method], grpc.StatusCode.INVALID_ARGUMENT.name, 0.0)
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the message cannot be read: {request.reason}")
            try:
                return await behave(request, context)
            except (grpc.aio.AbortError, grpc.aio.UsageError):
                raise
            except Exception:
                _LOG.exception("a call failed", extra={"method": method, **traced(context).log_fields()})
                await context.abort(
                    grpc.StatusCode.INTERNAL, "the server failed; its log holds the reason under the call's id"
                )

        return grpc.unary_unary_rpc_method_handler(answer, read, handler.response_serializer)


class _Reflection(grpc.GenericRpcHandler):
    """Server reflection; it is imported when someone asks, which in production nobody does."""

    def __init__(self, names: Sequence[str]) -> None:
        """Takes the full names of the services that the server has."""
        self._names = names
        self._handlers: list[grpc.GenericRpcHandler] = []

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """What generated code calls on a server."""
        self._handlers.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler]) -> None:
        """What generated code calls on a server beside the other."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if not handler_call_details.method.startswith(f"/{_REFLECTION}/"):
            return None
        if not self._handlers:
            from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

            servicer = reflection.aio.ReflectionServicer(self._names)
            reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, self)
        found = (handler.service(handler_call_details) for handler in self._handlers)
        return next((handler for handler in found if handler is not None), None)


class _Health(health.aio.HealthServicer):
    """grpc.health.v1 with one status for every name, NOT_SERVING at first."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = [health.OVERALL_HEALTH]

    async def report(self, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        for name in self.names:
            await self.set(name, status.SERVING if serving else status.NOT_SERVING)

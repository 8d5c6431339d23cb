"""The gRPC server that front ends register with: health, reflection, limits and one address."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

import grpc
from google.protobuf.message import DecodeError

from chassis.errors import ChassisError
from chassis.runtime.core.metrics import Metrics
from chassis.runtime.core.service import State
from chassis.runtime.rpc import health, reflection
from chassis.runtime.rpc.call import Call, CallError
from chassis.runtime.rpc.completion import CompletionServer, Method

_LOG = logging.getLogger(__name__)

_MORE_CALLS = 1000
"""Calls of one connection beside as many as the queue holds, idle ones and health checks among them."""

_PAUSE = 0.03
_ROUNDS = 10
"""Seconds, and turns of the event loop, without a call that tell that none is on its way."""


class AddressInUseError(ChassisError):
    """An address that cannot be listened on."""


class Message(Protocol):
    """A protobuf message."""

    def SerializeToString(self) -> bytes:
        """Its wire format."""


class Unary(NamedTuple):
    """A method of one message and one answer.

    Attributes:
      read: parses the message.
      answer: returns the answer; what it raises other than `CallError` is logged, and no caller sees it.
      protocol: of a method that calls the model, its name in metrics.
    """

    read: Callable[[bytes], object]
    answer: Callable[[object, Call], Awaitable[Message]]
    protocol: str = ""


class Streaming(NamedTuple):
    """A method that receives and sends messages itself, as often as it likes, and ends with OK when it returns."""

    answer: Callable[[Call], Awaitable[None]]


class GrpcServer:
    """A server with grpc.health.v1 and reflection for the services that are added to it."""

    def __init__(self, max_request_bytes: int, queue_size: int, metrics: Metrics) -> None:
        """Makes a server that reads messages of up to `max_request_bytes`, and counts those that it cannot read.

        A caller learns at once when the model's queue of `queue_size` is full: its connection has room for more calls.
        """
        self._options = (
            ("grpc.max_receive_message_length", max_request_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_concurrent_streams", queue_size + _MORE_CALLS),
            # Without this a second server on the port would start, and get half of the calls.
            ("grpc.so_reuseport", 0),
        )
        self._metrics = metrics
        self._methods: dict[str, Method] = {}
        self._health = health.Health()
        self._names = [health.SERVICE, reflection.SERVICE]
        self._open: set[Call] = set()
        self._server: CompletionServer | None = None
        self._add(
            health.SERVICE,
            {
                "Check": Unary(health.REQUEST, self._health.check),
                "Watch": Streaming(self._health.watch),
            },
        )

    def add(self, name: str, methods: Mapping[str, Unary]) -> None:
        """Adds the service `name`, a full protobuf name, with its methods."""
        self._add(name, methods)
        self._names.append(name)
        self._health.names.add(name)

    async def start(self, host: str, port: int) -> int:
        """Listens on `host` and `port`; returns the port, which is a free one where `port` is 0.

        Raises:
          AddressInUseError: the address cannot be listened on.
        """
        self._add(reflection.SERVICE, {reflection.METHOD: Streaming(reflection.Reflection(self._names).answer)})
        self._server = CompletionServer(asyncio.get_running_loop(), self._options, self._open.discard)
        bound = self._server.bind(f"{host}:{port}")
        if not bound:
            raise AddressInUseError(
                f"cannot listen on {host}:{port}: is another server there? "
                "PSC_MODEL_PORT and CHASSIS_HOST choose another address"
            )
        self._server.start(self._methods)
        return bound

    def report(self, state: State) -> None:
        """Tells health checks whether the model answers."""
        self._health.report(state is State.READY)

    async def quiet(self, timeout: float) -> None:
        """Returns when no call for the model comes any more, after `timeout` seconds at the latest.

        Calls that have arrived wait inside gRPC until they are taken one by one.
        """
        loop = asyncio.get_running_loop()
        until, rounds = loop.time() + timeout, 0
        while self._server and rounds < _ROUNDS and loop.time() < until:
            before = self._server.arrivals
            await asyncio.sleep(_PAUSE / _ROUNDS)
            rounds = rounds + 1 if self._server.arrivals == before else 0

    async def wait_answered(self, timeout: float) -> bool:
        """Waits until every answer of the model has left; False where some have not after `timeout` seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        while self._open and loop.time() < until:
            await asyncio.sleep(_PAUSE / _ROUNDS)
        return not self._open

    def _add(self, service: str, methods: Mapping[str, Unary | Streaming]) -> None:
        for name, method in methods.items():
            path = f"/{service}/{name}"
            if isinstance(method, Streaming):
                self._methods[path] = Method(self._streaming(path, method), streaming=True)
            else:
                self._methods[path] = Method(self._unary(path, method), counted=bool(method.protocol))

    def _unary(self, path: str, method: Unary) -> Callable[[Call, bytes | None], None]:
        async def answer(call: Call, content: bytes) -> None:
            try:
                request = method.read(content)
            except DecodeError:
                if method.protocol:
                    self._metrics.count_request(method.protocol, grpc.StatusCode.INVALID_ARGUMENT.name, 0.0)
                raise
            call.finish(content=(await method.answer(request, call)).SerializeToString())

        def begin(call: Call, content: bytes | None) -> None:
            if call.over:
                return
            if content is None:
                call.finish(grpc.StatusCode.UNIMPLEMENTED, f"{path} takes one message")
                return
            if method.protocol:
                self._open.add(call)
            call.task = asyncio.get_running_loop().create_task(_guard(path, call, answer, content))

        return begin

    @staticmethod
    def _streaming(path: str, method: Streaming) -> Callable[[Call, bytes | None], None]:
        async def answer(call: Call) -> None:
            await method.answer(call)
            call.finish()

        def begin(call: Call, _: bytes | None) -> None:
            call.task = asyncio.get_running_loop().create_task(_guard(path, call, answer))

        return begin


async def _guard(path: str, call: Call, answer: Callable[..., Awaitable[None]], *content: bytes) -> None:
    """Has `call` answered, and ends it with a status that its caller may see where that fails."""
    try:
        await answer(call, *content)
    except CallError as error:
        call.finish(error.code, str(error))
    except DecodeError as error:
        call.finish(grpc.StatusCode.INVALID_ARGUMENT, f"the message cannot be read: {error}")
    except Exception:
        caller = call.caller if call.caller.request_id else call.traced()
        _LOG.exception("a call failed", extra={"method": path, **caller.log_fields()})
        call.finish(grpc.StatusCode.INTERNAL, "the server failed; its log holds the reason under the call's id")

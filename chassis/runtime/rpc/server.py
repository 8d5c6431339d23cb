"""The gRPC server that front ends register with: health, reflection, limits and one address."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

import grpc
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from chassis.errors import ChassisError
from chassis.runtime.content_coding import ContentDecoder
from chassis.runtime.core.budget import Budget
from chassis.runtime.core.metrics import Metrics
from chassis.runtime.core.service import ModelState
from chassis.runtime.limits import Limits
from chassis.runtime.rpc import health, reflection
from chassis.runtime.rpc.call import Call, CallError
from chassis.runtime.rpc.completion import CompletionServer, Method
from chassis.runtime.rpc.message import parse, plain
from chassis.runtime.rpc.pressure import MemoryPressure
from chassis.runtime.rpc.wire import Schema

_LOG = logging.getLogger(__name__)

_MORE_CALLS = 1000
"""Calls of one connection beside as many as the queue holds, idle ones and health checks among them."""

_METADATA_BYTES = 16 << 10
_CALL_BYTES = 64 << 10
"""What a call may hold beside its messages: 20 kB of gRPC's core, and metadata."""

_MIN_CALLS = 256
_LARGE = 1 << 16
_KEEPALIVE_MS = 60_000
_MESSAGE_RATE = 1 << 20
"""Bytes a second at which the largest message would come in time: of a message nothing is seen before it is whole."""

_TICK = 0.005
_IDLE_TICK = 0.5
_AWAKE = 1.0
"""Seconds between looks at what is being read: while something is and some time after, and otherwise."""

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
      descriptor: of its message, if that may be large.
    """

    read: Callable[[bytes], object]
    answer: Callable[[object, Call], Awaitable[Message]]
    protocol: str = ""
    descriptor: Descriptor | None = None


class Streaming(NamedTuple):
    """A method that receives and sends messages itself, as often as it likes, and ends with OK when it returns."""

    answer: Callable[[Call], Awaitable[None]]


class GrpcServer:
    """A server with grpc.health.v1 and reflection for the services that are added to it."""

    def __init__(self, limits: Limits, queue_size: int, metrics: Metrics, budget: Budget) -> None:
        """Makes a server within `limits` and `budget`, which counts messages that it cannot read.

        A caller learns at once when the model's queue of `queue_size` is full: its connection has room for more calls.
        """
        self._limits = limits
        self._budget = budget
        self._most_calls = max(_MIN_CALLS, limits.inflight_bytes // _CALL_BYTES)
        self._options = (
            ("grpc.max_receive_message_length", limits.message_bytes),
            ("grpc.max_send_message_length", -1),
            # Many small messages may inflate to more than memory holds before anybody looks: `messages` inflates them.
            ("grpc.per_message_decompression", 0),
            ("grpc.max_concurrent_streams", min(queue_size + _MORE_CALLS, self._most_calls)),
            ("grpc.max_metadata_size", _METADATA_BYTES),
            ("grpc.absolute_max_metadata_size", _METADATA_BYTES),
            ("grpc.max_allowed_incoming_connections", limits.connections),
            ("grpc.server_handshake_timeout_ms", int(limits.head_timeout * 1000)),
            # A peer that is gone without a word is noticed.
            ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", int(limits.transfer_grace * 1000)),
            # Without this a second server on the port would start, and get half of the calls.
            ("grpc.so_reuseport", 0),
        )
        self._metrics = metrics
        self._decoder = ContentDecoder(budget, limits.message_bytes)
        self._sending: dict[Call, tuple[float, int]] = {}
        self._watching: asyncio.Task[None] | None = None
        self._methods: dict[str, Method] = {}
        self._health = health.Health()
        self._names = [health.SERVICE, *reflection.SERVICES]
        self._open: set[Call] = set()
        self._streams: set[Call] = set()
        self._server: CompletionServer | None = None
        self._add(
            health.SERVICE,
            {
                "Check": Unary(health.REQUEST, self._health.check),
                "Watch": Streaming(self._health.watch),
            },
        )

    def add(self, name: str, methods: Mapping[str, Unary | Streaming]) -> None:
        """Adds the service `name`, a full protobuf name, with its methods."""
        self._add(name, methods)
        self._names.append(name)
        self._health.names.add(name)

    async def start(self, host: str, port: int) -> int:
        """Listens on `host` and `port`; returns the port, which is a free one if `port` is 0.

        Raises:
          AddressInUseError: the address cannot be listened on.
        """
        for name in reflection.SERVICES:
            self._add(name, {reflection.METHOD: Streaming(reflection.Reflection(self._names).answer)})
        loop = asyncio.get_running_loop()
        limits = self._limits
        self._server = CompletionServer(
            loop,
            self._options,
            self._ended,
            most_calls=self._most_calls,
            most_bytes=max(limits.message_bytes, limits.inflight_bytes // 4),
        )
        bound = self._server.bind(f"{host}:{port}")
        if not bound:
            raise AddressInUseError(
                f"cannot listen on {host}:{port}: is another server there? "
                "PSC_MODEL_PORT and CHASSIS_HOST choose another address"
            )
        self._server.start(self._methods)
        self._watching = loop.create_task(self._watch())
        return bound

    def report(self, state: ModelState) -> None:
        """Tells health checks whether the model answers."""
        self._health.report(state is ModelState.READY)

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
        """Waits until every answer of the model has left; False if some have not after `timeout` seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        while (self._open or self._streams_busy()) and loop.time() < until:
            await asyncio.sleep(_PAUSE / _ROUNDS)
        return not (self._open or self._streams_busy())

    def _streams_busy(self) -> bool:
        return any(call.busy for call in self._streams)

    def _add(self, service: str, methods: Mapping[str, Unary | Streaming]) -> None:
        for name, method in methods.items():
            path = f"/{service}/{name}"
            if isinstance(method, Streaming):
                self._methods[path] = Method(self._streaming(path, method), streaming=True)
            else:
                self._methods[path] = Method(self._unary(path, method), counted=bool(method.protocol))

    def _unary(self, path: str, method: Unary) -> Callable[[Call, bytes | None], None]:
        # Made when a large message comes: most servers see none.
        schema = functools.cache(lambda: Schema(method.descriptor)) if method.descriptor is not None else None

        async def answer(call: Call, content: list[bytes]) -> None:
            try:
                data = await plain(content, self._decoder, call)
                message = [parse(data, method.read, schema, self._budget, call)]
                del data
            except (CallError, DecodeError) as error:
                if method.protocol:
                    code = error.code if isinstance(error, CallError) else grpc.StatusCode.INVALID_ARGUMENT
                    self._metrics.count_request(method.protocol, code.name, 0.0)
                raise
            # The method alone has the message: when it drops it, that is free.
            result = (await method.answer(message.pop(), call)).SerializeToString()
            self._release(call)
            if len(result) > _LARGE:
                self._hold(call, len(result))
            call.finish(content=result)

        def begin(call: Call, content: bytes | None) -> None:
            if call.over:
                return
            if content is None:
                call.finish(grpc.StatusCode.UNIMPLEMENTED, f"{path} takes one message")
                return
            cost = (
                len(content) * 3
            )  # with the message, and the items that are made of it, here and in the model's process
            if not self._budget.take(cost):
                if method.protocol:
                    self._metrics.count_request(method.protocol, grpc.StatusCode.RESOURCE_EXHAUSTED.name, 0.0)
                call.finish(grpc.StatusCode.RESOURCE_EXHAUSTED, self._budget.busy())
                return
            call.cost = cost
            if method.protocol:
                self._open.add(call)
            call.task = asyncio.get_running_loop().create_task(_guard(path, call, answer, [content]))

        return begin

    def _hold(self, call: Call, size: int) -> None:
        """Counts an answer of `size` bytes until its caller has read it."""
        if not self._budget.take(size):
            raise CallError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                self._budget.too_large(size, "the answer") if size > self._budget.total else self._budget.busy(),
            )
        call.cost = size
        self._sending[call] = (time.monotonic(), size)

    def _release(self, call: Call) -> None:
        """What `call` took is free."""
        cost, call.cost = call.cost, 0
        if cost:
            self._budget.give(cost)
        self._sending.pop(call, None)

    def _ended(self, call: Call) -> None:
        self._open.discard(call)
        if call.cost and self._server is not None:
            self._server.post(self._release, call)

    async def _watch(self) -> None:
        """Ends calls whose message does not come, or whose answer is not read, until cancelled."""
        limits = self._limits
        patience = limits.transfer_grace + limits.message_bytes / _MESSAGE_RATE
        pressure = MemoryPressure(limits, self._budget)
        server = self._server
        assert server is not None
        woken = asyncio.Event()
        server.woken = woken.set
        seen = 0.0
        while True:
            now = time.monotonic()
            if server.reading:
                seen = now
            if now - seen < _AWAKE:
                await asyncio.sleep(_TICK)
            else:
                woken.clear()
                server.quiet = True
                with contextlib.suppress(TimeoutError, asyncio.TimeoutError):  # two in Python 3.10
                    await asyncio.wait_for(woken.wait(), _IDLE_TICK)
            now = time.monotonic()
            self._refuse_read(server, now - patience, "the message did not come in time")
            if now - min(list(server.reading.values()), default=now) > _TICK and pressure.is_high():
                self._refuse_read(server, now - _TICK, "messages that come now take too much memory; try again later")
            for call, (since, size) in list(self._sending.items()):
                if now - since > limits.transfer_grace + size / max(limits.least_rate, 1.0):
                    self._sending.pop(call, None)
                    call.abort("the answer was not read in time")

    @staticmethod
    def _refuse_read(server: CompletionServer, before: float, why: str) -> None:
        """Ends calls whose message began to be read `before` then, and has not come."""
        for call, since in list(server.reading.items()):
            if since < before:
                server.reading.pop(call, None)
                call.finish(grpc.StatusCode.RESOURCE_EXHAUSTED, why)

    def _streaming(self, path: str, method: Streaming) -> Callable[[Call, bytes | None], None]:
        async def answer(call: Call) -> None:
            self._streams.add(call)
            try:
                await method.answer(call)
            finally:
                self._streams.discard(call)
            call.finish()

        def begin(call: Call, _: bytes | None) -> None:
            call.task = asyncio.get_running_loop().create_task(_guard(path, call, answer))

        return begin


async def _guard(path: str, call: Call, answer: Callable[..., Awaitable[None]], *content: list[bytes]) -> None:
    """Has `call` answered, and ends it with a status that its caller may see if that fails."""
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

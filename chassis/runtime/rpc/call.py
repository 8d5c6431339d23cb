"""One gRPC call, as services and as gRPC's core see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import grpc
from grpc._cython import cygrpc

from chassis.runtime.core.caller import UNKNOWN_CALLER, Caller, identify

if TYPE_CHECKING:
    from chassis.runtime.core.contract import Contract

_NO_FLAGS = 0
_NEVER = 1e12
"""Seconds since 1970 after which a deadline stands for none: the core has a time without an end."""

_LOCAL = ("ipv4:127.", "ipv6:%5B::1%5D", "ipv6:[::1]", "ipv6:%5B::ffff:127.", "ipv6:[::ffff:127.", "unix:")
"""How the core writes addresses of the loopback; brackets may be percent-encoded."""


class CallError(Exception):
    """A call that ends with a status other than OK."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code


class Owner(Protocol):
    """What a call tells of itself."""

    def post(self, function: Callable[..., None], *arguments: object) -> None:
        """Has `function` called in the event loop's thread; may be called from any."""

    def received(self, function: Callable[[Call, bytes | None], None], call: Call, content: bytes | None) -> None:
        """Has `function` called in the event loop's thread with a message of `call`; in gRPC's thread."""

    def ended(self, call: Call) -> None:
        """Its status has left, or its caller is gone, in which case it may be told so twice; in any thread."""


class Call:
    """A call that has arrived. All but the handlers of events belongs to the event loop's thread.

    Attributes:
      metadata: keys and values that came with it.
      caller: who it is from, once `traced`.
      busy: whether one of its messages is being answered, if there are several.
      over: whether it has been ended, or its caller is gone.
      task: what answers it, to be cancelled when its caller is gone.
      cost: the bytes of the budget that are its own until it has ended.
      lifted: large contents of its message, by the name that the message has in the place of each; whoever takes one
        takes it out, so that the message's memory is free when all were.
    """

    __slots__ = (
        *("_begun", "_core", "_deadline", "_owner", "_trailing", "_waiter"),
        *("busy", "caller", "cost", "lifted", "metadata", "over", "task"),
    )

    def __init__(
        self, owner: Owner, core: cygrpc.Call, metadata: Sequence[tuple[str, str]], deadline: float = _NEVER
    ) -> None:
        """Takes gRPC's own `core` of the call and its deadline, in seconds since 1970.

        It watches whether the caller stays.
        """
        self.metadata = metadata
        self.caller = UNKNOWN_CALLER
        self.busy = False
        self.over = False
        self.cost = 0
        self.lifted: dict[bytes, memoryview] = {}
        self.task: asyncio.Task[None] | None = None
        self._owner = owner
        self._core = core
        self._deadline = deadline
        self._begun = False
        self._trailing: tuple[tuple[str, str], ...] = ()
        self._waiter: asyncio.Future[bytes | None] | None = None
        core.start_server_batch((cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),), self._on_close)

    def is_local(self) -> bool:
        """Whether its caller is on this machine, or in this container."""
        peer: str = self._core.peer().decode(errors="replace")
        return peer.startswith(_LOCAL)

    def telling(self, contract: Contract, parameters: Mapping[str, object]) -> Caller:
        """Its `caller`, with what the function is told of it."""
        self.caller = self.caller.telling(contract, self._headers(), parameters, self._until())
        return self.caller

    def _headers(self) -> dict[str, str]:
        """Its metadata that are texts; of a key that comes twice, the values with `, ` between."""
        found: dict[str, str] = {}
        for key, value in self.metadata:
            if isinstance(value, str):
                found[key] = f"{found[key]}, {value}" if key in found else value
        return found

    def _until(self) -> float | None:
        """When its caller has no use for an answer any more, by `time.monotonic()`; None if it did not say."""
        return None if self._deadline >= _NEVER else time.monotonic() + self._deadline - time.time()

    def traced(self, request_id: str = "") -> Caller:
        """Who its metadata says that it is from: `x-request-id`, else `request_id`, and `traceparent`.

        Both go back with the answer, as trailing metadata.
        """
        traceparent = None
        for key, value in self.metadata:
            if key == "x-request-id":
                request_id = value
            elif key == "traceparent":
                traceparent = value
        self.caller = caller = identify(request_id, traceparent)
        self._trailing = (("x-request-id", caller.request_id),)
        if caller.traceparent:
            self._trailing += (("traceparent", caller.traceparent),)
        return caller

    def read(self, received: Callable[[Call, bytes | None], None]) -> None:
        """Has `received` called in the loop's thread with the caller's next message, or None if there is none.

        May be called from any thread.
        """

        def on_message(event: cygrpc.BatchOperationEvent) -> None:
            self._owner.received(received, self, event.batch_operations[0].message())

        self._core.start_server_batch((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), on_message)

    async def receive(self) -> bytes | None:
        """The caller's next message; None if it sends no more."""
        waiter: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiter = waiter
        self.read(Call._settle)
        return await waiter

    async def send(self, content: bytes) -> None:
        """Sends one message of several; returns when there is room for another."""
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        operations = [*self._beginning(), cygrpc.SendMessageOperation(content, _NO_FLAGS)]
        self._core.start_server_batch(operations, lambda _: self._owner.post(Call._settle, self, None))
        await waiter

    def finish(
        self, code: grpc.StatusCode = grpc.StatusCode.OK, details: str = "", content: bytes | None = None
    ) -> None:
        """Ends it with a status and, before that, a last message; once it is over this does nothing.

        May be called from any thread.
        """
        if self.over:
            return
        self.over = True
        operations = self._beginning()
        if content is not None:
            operations.append(cygrpc.SendMessageOperation(content, _NO_FLAGS))
        status = (self._trailing, code.value[0], details.encode(errors="replace"), _NO_FLAGS)
        operations.append(cygrpc.SendStatusFromServerOperation(*status))
        self._core.start_server_batch(operations, self._on_sent)

    def abort(self, details: str) -> None:
        """Ends it although something is still to be sent, which its caller does not read."""
        self._core.cancel(grpc.StatusCode.DEADLINE_EXCEEDED.value[0], details)

    def _beginning(self) -> list[cygrpc.Operation]:
        if self._begun:
            return []
        self._begun = True
        return [cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS)]

    def _settle(self, content: bytes | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(content)

    def _on_close(self, event: cygrpc.BatchOperationEvent) -> None:
        if event.batch_operations[0].cancelled():
            self._owner.post(Call._cancel, self)

    def _on_sent(self, _: cygrpc.BatchOperationEvent) -> None:
        self._owner.ended(self)

    def _cancel(self) -> None:
        """The caller is gone, or its deadline is over."""
        self.over = True
        self._owner.ended(self)
        if self.task is not None:
            self.task.cancel()

"""Calls as gRPC's core hands them out: events of a completion queue, which one thread takes and the event loop answers.

grpcio has two servers of its own on the same queue. One gives each call a thread, which waits for its message, so that
callers who send none keep everybody else out; the other wakes asyncio for each of four events and makes two tasks of
each call, which costs twice what gRPC itself does. Here a call without a message is an object in memory, no more.

This module and `call` alone know `grpc._cython.cygrpc`, which is not among what grpcio promises to keep: the image's
lock pins grpcio, and the tests beside go through each operation.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import grpc
from grpc._cython import cygrpc

from chassis.runtime.rpc.call import Call

_LOG = logging.getLogger(__name__)


class Method(NamedTuple):
    """How calls of a method begin.

    Attributes:
      begin: called in the loop's thread with each call and, unless the method is `streaming`, its message, or None
        where the caller has sent none.
      streaming: whether it reads its messages itself.
      counted: whether its calls count as arrivals.
    """

    begin: Callable[[Call, bytes | None], None]
    streaming: bool = False
    counted: bool = False


class CompletionServer:
    """Takes calls until its process ends.

    Attributes:
      arrivals: how many counted calls have been taken.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, options: Sequence[tuple[str, int]], ended: Callable[[Call], None]
    ) -> None:
        """Takes where calls are answered, options of gRPC's core, and what is told of a call's end, in any thread."""
        self.arrivals = 0
        self.ended = ended
        self._loop = loop
        self._methods: dict[bytes, Method] = {}
        self._posted: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._woken = False
        self._queue = cygrpc.CompletionQueue()
        self._server = cygrpc.Server(tuple(options), False)
        self._server.register_completion_queue(self._queue)

    def bind(self, address: str) -> int:
        """Listens on `address`; returns its port, or 0 where that cannot be."""
        return self._server.add_http2_port(address.encode())

    def start(self, methods: Mapping[str, Method]) -> None:
        """Begins to take calls of `methods`, whose names are paths such as `/ModzyModel/Run`."""
        self._methods = {name.encode(): method for name, method in methods.items()}
        self._server.start()
        self._server.request_call(self._queue, self._queue, self._on_call)
        threading.Thread(target=self._work, name="grpc", daemon=True).start()

    def post(self, function: Callable[..., None], *arguments: object) -> None:
        """Has `function` called in the loop's thread, which is woken once for all that is posted meanwhile."""
        self._posted.append((function, arguments))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._take)

    def _take(self) -> None:
        self._woken = False  # before the first look: what is posted after the last one wakes the loop again
        while self._posted:
            function, arguments = self._posted.popleft()
            try:
                function(*arguments)
            except Exception:
                _LOG.exception("an event of gRPC failed")

    def _work(self) -> None:
        """Passes events to what waits for them; the core's thread is not to end with any of them."""
        while True:
            event = self._queue.poll()
            try:
                event.tag(event)
            except Exception:
                _LOG.exception("an event of gRPC failed")
            event = None  # the call it belongs to would stay until the next one

    def _on_call(self, event: cygrpc.RequestCallEvent) -> None:
        try:
            self._begin(event)
        finally:
            self._server.request_call(self._queue, self._queue, self._on_call)

    def _begin(self, event: cygrpc.RequestCallEvent) -> None:
        call = Call(self, event.call, event.invocation_metadata)
        method = self._methods.get(event.call_details.method)
        if method is None:
            call.finish(grpc.StatusCode.UNIMPLEMENTED, "there is no such method")
            return
        self.arrivals += method.counted
        if method.streaming:
            self.post(method.begin, call, None)
        else:
            call.read(method.begin)

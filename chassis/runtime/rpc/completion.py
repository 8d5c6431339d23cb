"""Calls as gRPC's core hands them out: events of a completion queue, which one thread takes and the event loop answers.

grpcio has two servers of its own on the same queue. One gives each call a thread, which waits for its message, so that
callers who send none keep everybody else out; the other wakes asyncio for each of four events and makes two tasks of
each call, which costs twice what gRPC itself does. Here a call without a message is an object in memory, no more.

This module and `call` alone know `grpc._cython.cygrpc`, which is not part of grpcio's public interface. The tests go
through each operation with the release that requirements/linux_amd64.txt pins, and every lock of the server takes its
versions from there. A model's own grpcio never takes its place: the model has a process of its own, or, with
`workers = 0`, the build and `server_place.share` refuse another release.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import grpc
from grpc._cython import cygrpc

from chassis.runtime.rpc.call import Call

_LOG = logging.getLogger(__name__)

_LARGE = 1 << 16
"""Bytes of a message above which it is counted."""


class Method(NamedTuple):
    """How calls of a method begin.

    Attributes:
      begin: called in the loop's thread with each call and, unless the method is `streaming`, its message, or None
        if the caller has sent none.
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
      reading: calls whose message has not come, and since when (`time.monotonic`); the oldest first.
      quiet: whether `woken` is to be called, in the loop's thread, when there is one again.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: Sequence[tuple[str, int]],
        ended: Callable[[Call], None],
        *,
        most_calls: int,
        most_bytes: int,
    ) -> None:
        """Takes where calls are answered, options of gRPC's core, what is told of a call's end, in any thread, and how
        many calls there may be at a time, and bytes of messages that the loop has not looked at."""
        self.arrivals = 0
        self.reading: dict[Call, float] = {}
        self.quiet = False
        self.woken: Callable[[], None] = lambda: None
        self._ended = ended
        self._alive: set[Call] = set()
        self._most_calls = most_calls
        self._most_bytes = most_bytes
        self._unseen_bytes = 0
        self._counting = threading.Lock()
        self._loop = loop
        self._methods: dict[bytes, Method] = {}
        self._posted: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._woken = False
        self._queue = cygrpc.CompletionQueue()
        self._server = cygrpc.Server(tuple(options), False)
        self._server.register_completion_queue(self._queue)

    def bind(self, address: str) -> int:
        """Listens on `address`; returns its port, or 0 if that cannot be."""
        port: int = self._server.add_http2_port(address.encode())
        return port

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

    def received(self, function: Callable[[Call, bytes | None], None], call: Call, content: bytes | None) -> None:
        """Posts the message of a call; refuses it while the loop has not looked at too many."""
        self.reading.pop(call, None)
        size = len(content or b"")
        if size > _LARGE:
            if self._unseen_bytes + size > self._most_bytes:
                call.finish(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many messages come at once; try again later")
                return
            with self._counting:
                self._unseen_bytes += size
            self.post(self._see, function, call, content)
            return
        self.post(function, call, content)

    def ended(self, call: Call) -> None:
        """A call has ended; in any thread, perhaps twice."""
        self._alive.discard(call)
        self.reading.pop(call, None)
        self._ended(call)

    def _see(self, function: Callable[[Call, bytes | None], None], call: Call, content: bytes) -> None:
        with self._counting:
            self._unseen_bytes -= len(content)
        function(call, content)

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
        self._alive.add(call)
        if len(self._alive) > self._most_calls and not self._make_room():
            call.finish(grpc.StatusCode.RESOURCE_EXHAUSTED, f"there are {self._most_calls} calls, which is the most")
            return
        method = self._methods.get(event.call_details.method)
        if method is None:
            call.finish(grpc.StatusCode.UNIMPLEMENTED, "there is no such method")
            return
        self.arrivals += method.counted
        if method.streaming:
            self.post(method.begin, call, None)
        else:
            self.reading[call] = time.monotonic()
            if self.quiet:
                self.quiet = False
                self.post(self.woken)
            call.read(method.begin)

    def _make_room(self) -> bool:
        """Ends the call that has sent nothing for the longest time; False if there is none."""
        oldest = next(iter(self.reading), None)
        if oldest is None:
            return False
        self.reading.pop(oldest, None)
        self.post(Call.finish, oldest, grpc.StatusCode.RESOURCE_EXHAUSTED, "no message came, and others wait for room")
        return True

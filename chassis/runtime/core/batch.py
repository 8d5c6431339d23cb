"""A batch: items that are one call of the model, and what calls it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

from chassis.runtime.core.answer import Answer, Item
from chassis.runtime.core.caller import Caller
from chassis.runtime.core.stream import Stream


class WaitingRequest:
    """Items that came together and are answered together, in their order."""

    __slots__ = ("answers", "caller", "future", "missing")

    def __init__(self, caller: Caller, future: asyncio.Future[list[Answer]], items: int) -> None:
        self.caller = caller
        self.future = future
        self.answers: list[Answer | None] = [None] * items
        self.missing = items


class Waiting:
    """One item.

    Attributes:
      alone: whether it is to be called alone: a batch raised, or was lost, with it.
      stream: where its pieces go, if it is answered piece by piece.
      suspect: whether a lane was lost with it.
    """

    __slots__ = ("alone", "index", "item", "request", "since", "stream", "suspect")

    def __init__(self, request: WaitingRequest, index: int, item: Item, since: float) -> None:
        self.request = request
        self.index = index
        self.item = item
        self.since = since
        self.alone = False
        self.stream: Stream | None = None
        self.suspect = False


class Batch:
    """Items that are one call of the model.

    Attributes:
      started: when the call began, and
      ended: when it ended (`time.monotonic`); 0.0 until then.
      began: as `started`; of a stream when its present piece began, 0.0 between two.
    """

    __slots__ = ("_spent", "began", "ended", "started", "waiting")

    def __init__(self, waiting: list[Waiting]) -> None:
        self.waiting = waiting
        self.started = 0.0
        self.began = 0.0
        self.ended = 0.0
        self._spent = 0.0

    @property
    def stream(self) -> Stream | None:
        """Where the pieces of its one item go, if that is answered so."""
        return self.waiting[0].stream if self.waiting else None

    def begin(self) -> list[Item]:
        """Its items, without those whose callers are gone; whichever thread calls the model asks for them just before.

        There may be none, and then nothing is to be called.
        """
        # A list that is replaced, not changed: the loop's thread may look at it meanwhile.
        self.waiting = [waiting for waiting in self.waiting if not waiting.request.future.done()]
        self.started = self.began = time.monotonic()
        return [waiting.item for waiting in self.waiting]

    def pause(self) -> None:
        """A piece of its stream was given: until the next is asked for, the model is not at it."""
        self._spent += time.monotonic() - self.began
        self.began = 0.0

    def resume(self) -> None:
        """The next piece is asked for."""
        self.began = time.monotonic()

    def end(self) -> None:
        """The call returned, or raised."""
        self.ended = time.monotonic()

    def seconds(self) -> float:
        """How long the model was at it."""
        return self._spent + (self.ended - self.began if self.began else 0.0)


Outcome = Sequence[Answer] | BaseException
"""What came of a call: an answer to each item, or what it raised."""


class Lane(Protocol):
    """Something that calls the model, one batch after another: a thread, or a process."""

    ahead: int
    """Full batches that it may hold while it is at another, so that it need not wait for the loop between them."""

    def call(self, batch: Batch) -> None:
        """Has the model called with `batch.begin()`.

        When it has ended `Batcher.finished` is called, or, if it never will, `Batcher.lost`, after this returned.
        """

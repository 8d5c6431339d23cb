"""What a function gives to one item, piece by piece: a few are computed before they are taken, and no more."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

from chassis.runtime.core.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Callable


_AHEAD = 4
"""Pieces that wait to be taken, before the function is held back: while one is sent the next is computed."""


class Source(Protocol):
    """What calls the function: a thread or a process."""

    def go_on(self, more: bool) -> None:
        """Has the next piece computed; without `more` the function's generator is closed."""


class Stream:
    """The pieces of one item, for `async for`. All belongs to the event loop's thread.

    A piece without output is an error, and the last.

    Attributes:
      began: whether a piece was given.
      source: what computes them, once something does.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.began = False
        self.source: Source | None = None
        self._loop = loop
        self._pieces: deque[Answer] = deque()
        self._owes = False
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._withdraw: Callable[[], None] = lambda: None

    def follow(self, future: asyncio.Future[list[Answer]], withdraw: Callable[[], None]) -> None:
        """Ends with `future`, with its error if it has one; `withdraw` takes back what still waits."""
        self._withdraw = withdraw
        future.add_done_callback(self._end)

    def put(self, piece: Answer) -> None:
        """The function gave a piece."""
        self.began = True
        self._pieces.append(piece)
        if len(self._pieces) < _AHEAD and not self._ended and self.source is not None:
            self.source.go_on(more=True)
        else:
            self._owes = True
        self._wake()

    def close(self) -> None:
        """Nobody takes any more: the function's generator is closed."""
        if self._ended:
            return
        self._ended = True
        source, self.source = self.source, None
        self._withdraw()
        if source is not None:
            source.go_on(more=False)

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Answer:
        while not self._pieces:
            if self._ended:
                raise StopAsyncIteration
            self._waiter = self._loop.create_future()
            await self._waiter
        piece = self._pieces.popleft()
        if self._owes and self.source is not None and not self._ended:
            self._owes = False
            self.source.go_on(more=True)
        return piece

    def _end(self, future: asyncio.Future[list[Answer]]) -> None:
        if self._ended:
            return
        self._ended = True
        if not future.cancelled() and future.result()[0].error is not None:
            self._pieces.append(future.result()[0])
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

"""How far a function may be ahead of whoever takes its pieces."""

from __future__ import annotations

import asyncio

from chassis.runtime.core.answer import Answer
from chassis.runtime.core.stream import Stream


class Counting:
    """A source that gives a piece whenever it is asked, in the loop's next turn."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.given = 0
        self.closed = False
        self.go_on(more=True)

    def go_on(self, more: bool) -> None:
        self.closed = not more
        if more:
            asyncio.get_running_loop().call_soon(self._give)

    def _give(self) -> None:
        self.given += 1
        self.stream.put(Answer({"out": b"%d" % self.given}))


async def _turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_few_pieces_wait_and_no_more_are_computed() -> None:
    async def given_before_any_was_taken() -> tuple[int, list[bytes], int]:
        stream = Stream(asyncio.get_running_loop())
        stream.source = source = Counting(stream)
        await _turns()
        before = source.given
        taken = [(await anext(stream)).output["out"] for _ in range(3)]  # type: ignore[index]
        await _turns()
        return before, taken, source.given

    assert asyncio.run(given_before_any_was_taken()) == (4, [b"1", b"2", b"3"], 7)


def test_a_stream_that_is_closed_asks_for_nothing_more() -> None:
    async def closed() -> tuple[bool, int, int]:
        stream = Stream(asyncio.get_running_loop())
        stream.source = source = Counting(stream)
        await anext(stream)
        stream.close()
        before = source.given
        await _turns()
        return source.closed, before, source.given

    was_closed, before, after = asyncio.run(closed())
    assert was_closed and after <= before + 1

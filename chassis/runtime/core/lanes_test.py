"""Tests of chassis.runtime.core.batcher with several lanes, and with lanes that are lost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest

from chassis.runtime.core import batcher as batcher_module
from chassis.runtime.core.answer import Answer, Item
from chassis.runtime.core.batch import Batch
from chassis.runtime.core.batcher import Batcher, NotLoaded

LIMIT = 20.0

Scenario = Callable[[Batcher], Awaitable[None]]


def items(*contents: bytes) -> list[Item]:
    return [{"input": content} for content in contents]


def outputs(answers: Sequence[Answer]) -> list[bytes | str | None]:
    return [answer.output["out"] if answer.output else answer.error for answer in answers]


class Mortal:
    """A lane that echoes, and is lost with `die`; another takes its place."""

    ahead = 0

    def __init__(self, loop: asyncio.AbstractEventLoop, batcher: Batcher, everyone: list[Mortal]) -> None:
        self.batches: list[list[bytes]] = []
        self.dead = False
        self._loop = loop
        self._batcher = batcher
        self._everyone = everyone
        everyone.append(self)
        batcher.add(self)

    def call(self, batch: Batch) -> None:
        given = batch.begin()
        self.batches.append([item["input"] for item in given])
        batch.end()
        if any(item["input"] == b"die" for item in given):
            self.dead = True
            self._loop.call_soon(self._die)
        else:
            answers = [Answer({"out": item["input"]}) for item in given]
            self._loop.call_soon(self._batcher.finished, self, batch, answers)

    def _die(self) -> None:
        self._batcher.lost(self, "it was lost")
        self._loop.call_soon(Mortal, self._loop, self._batcher, self._everyone)


def drive_mortals(scenario: Scenario, lanes: int = 1, **limits: float) -> list[Mortal]:
    """Runs `scenario` with lanes that are replaced when they are lost; returns them all."""
    everyone: list[Mortal] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        batcher = Batcher(loop, **{"batch_size": 4, **limits})  # type: ignore[arg-type]
        running = asyncio.create_task(scenario(batcher))
        await asyncio.sleep(0)  # The scenario submits its items before there is a lane.
        for _ in range(lanes):
            Mortal(loop, batcher, everyone)
        await asyncio.wait_for(running, LIMIT)

    asyncio.run(run())
    return everyone


def test_items_of_a_lost_batch_are_tried_once_more_alone() -> None:
    async def scenario(batcher: Batcher) -> None:
        first = batcher.submit(items(b"1", b"die", b"3"))
        second = batcher.submit(items(b"4", b"5", b"6"))
        assert outputs(await first) == [b"1", "it was lost; twice with this item", b"3"]
        assert outputs(await second) == [b"4", b"5", b"6"]

    batches = [batch for lane in drive_mortals(scenario) for batch in lane.batches]
    assert batches[0] == [b"1", b"die", b"3", b"4"]
    assert batches.count([b"die"]) == 1
    assert [b"1"] in batches
    assert [b"5", b"6"] in batches


def test_what_a_lost_lane_had_not_begun_costs_no_attempt() -> None:
    class Holds:
        ahead = 1

        def call(self, batch: Batch) -> None:
            pass

    everyone: list[Mortal] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        batcher = Batcher(loop, batch_size=2)
        lane = Holds()
        batcher.add(lane)
        future = batcher.submit(items(b"1", b"2", b"3", b"4", b"5"))
        assert batcher.waiting() == 3
        batcher.lost(lane, "it was lost")
        Mortal(loop, batcher, everyone)
        assert outputs(await asyncio.wait_for(future, LIMIT)) == [b"1", b"2", b"3", b"4", b"5"]

    asyncio.run(run())
    assert sorted(everyone[0].batches) == [[b"1"], [b"2"], [b"3", b"4"], [b"5"]]


def test_two_idle_lanes_do_not_share_what_one_can_take() -> None:
    async def scenario(batcher: Batcher) -> None:
        await asyncio.sleep(0.01)  # Both lanes are there.
        futures = [batcher.submit(items(b"%d" % number)) for number in range(3)]
        assert [outputs(await future) for future in futures] == [[b"0"], [b"1"], [b"2"]]

    assert [lane.batches for lane in drive_mortals(scenario, lanes=2)] == [[[b"0", b"1", b"2"]], []]


def test_several_lanes_share_the_items_and_all_are_accounted_for() -> None:
    choices = random.Random(11)

    async def scenario(batcher: Batcher) -> None:
        async def request(number: int) -> None:
            contents = [choices.choice([b"die"] + [b"%d-%d" % (number, index)] * 20) for index in range(5)]
            expected = ["it was lost; twice with this item" if content == b"die" else content for content in contents]
            assert outputs(await batcher.submit(items(*contents))) == expected

        await asyncio.gather(*[request(number) for number in range(200)])

    everyone = drive_mortals(scenario, lanes=3, queue_size=10_000)
    assert sum(lane.dead for lane in everyone) > 3


def test_without_a_model_each_item_is_told_why() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        batcher = Batcher(loop, batch_size=2)
        future = batcher.submit(items(b"1", b"2", b"3"))
        batcher.add(NotLoaded(loop, batcher, "there is none"))
        assert outputs(await asyncio.wait_for(future, LIMIT)) == ["there is none"] * 3

    asyncio.run(run())


def test_a_lone_item_leaves_at_once_and_one_of_many_waits_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_BUSY_TURN", "_MAX_GATHERING"):
        monkeypatch.setattr(batcher_module, name, LIMIT)  # whatever this machine is busy with

    async def scenario(queue: Batcher) -> None:
        async def turns(content: bytes) -> int:
            future = queue.submit(items(content))
            passed = 0
            while not future.done():
                await asyncio.sleep(0)
                passed += 1
            return passed

        await asyncio.sleep(0.01)  # The lane is there.
        alone = [await turns(b"alone") for _ in range(3)]
        await asyncio.gather(*[turns(b"together") for _ in range(8)])
        assert max(alone) + 1 < await turns(b"after them")
        for _ in range(40):
            await turns(b"alone")
        assert await turns(b"alone") == alone[-1]

    drive_mortals(scenario, batch_size=4)


@pytest.mark.parametrize("fast_before", [False, True])
def test_a_lone_item_leaves_soon_on_a_processor_whose_every_turn_is_long(
    fast_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher_module, "_MAX_GATHERING", LIMIT)  # so that nothing leaves for its sake

    async def scenario(queue: Batcher) -> None:
        async def slow_turns() -> None:
            while True:
                until = time.perf_counter() + 5 * batcher_module._BUSY_TURN
                while time.perf_counter() < until:
                    pass
                await asyncio.sleep(0)

        for _ in range(10 * fast_before):
            await queue.submit(items(b"alone"))
        slow = asyncio.create_task(slow_turns())
        for _ in range(10):
            assert outputs(await asyncio.wait_for(queue.submit(items(b"alone")), LIMIT / 2)) == [b"alone"]
        slow.cancel()

    drive_mortals(scenario)

"""Tests of chassis.runtime.core.batcher with a real loop, and a real thread that calls the model."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest

from chassis.runtime.core.answer import Answer, Item, describe_exception
from chassis.runtime.core.batcher import Batcher, QueueFullError
from chassis.runtime.core.model_thread import ModelThread
from chassis.runtime.core.request_error import RequestError

LIMIT = 20.0


class Recorder:
    """A model that echoes, keeps its batches, and waits for `gate` if it is told to."""

    def __init__(self, *, gated: bool = False) -> None:
        self.batches: list[list[bytes]] = []
        self.gate = threading.Event()
        self.called = threading.Event()
        if not gated:
            self.gate.set()

    def __call__(self, items: Sequence[Item]) -> list[Answer]:
        self.batches.append([item["input"] for item in items])
        self.called.set()
        assert self.gate.wait(LIMIT)
        if any(item["input"] == b"bad" for item in items):
            raise ValueError("no good")
        return [Answer({"out": item["input"]}) for item in items]


def items(*contents: bytes) -> list[Item]:
    return [{"input": content} for content in contents]


def outputs(answers: Sequence[Answer]) -> list[bytes | str | None]:
    return [answer.output["out"] if answer.output else answer.error for answer in answers]


Scenario = Callable[[Batcher], Awaitable[None]]


def drive(
    model: Callable[[Sequence[Item]], list[Answer]],
    scenario: Scenario,
    gate: threading.Event | None = None,
    **limits: float,
) -> None:
    """Runs `scenario` in a loop with a batcher whose model thread runs `model`, and opens `gate` in the end."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        batcher = Batcher(loop, **{"batch_size": 4, **limits})  # type: ignore[arg-type]
        thread = ModelThread(loop, batcher, lambda: model)
        thread.start(lambda state, reason: None)
        try:
            await asyncio.wait_for(scenario(batcher), LIMIT)
        finally:
            if gate is not None:
                gate.set()
            assert await asyncio.to_thread(thread.close, LIMIT)

    asyncio.run(run())


async def until_called(model: Recorder) -> None:
    assert await asyncio.to_thread(model.called.wait, LIMIT)


def test_what_waits_while_the_model_is_busy_becomes_one_batch() -> None:
    model = Recorder(gated=True)

    async def scenario(batcher: Batcher) -> None:
        first = batcher.submit(items(b"1"))
        await until_called(model)
        others = [batcher.submit(items(content)) for content in (b"2", b"3", b"4", b"5", b"6")]
        model.gate.set()
        assert outputs(await first) == [b"1"]
        assert [outputs(await other) for other in others] == [[b"2"], [b"3"], [b"4"], [b"5"], [b"6"]]

    drive(model, scenario, model.gate)
    assert model.batches == [[b"1"], [b"2", b"3", b"4", b"5"], [b"6"]]


def test_a_large_request_is_split_and_put_together_in_order() -> None:
    model = Recorder()
    contents = [b"%d" % number for number in range(11)]

    async def scenario(batcher: Batcher) -> None:
        assert outputs(await batcher.submit(items(*contents))) == contents

    drive(model, scenario, model.gate)
    assert all(len(batch) <= 4 for batch in model.batches)
    assert [content for batch in model.batches for content in batch] == contents


def test_only_the_guilty_item_of_a_batch_fails() -> None:
    model = Recorder()

    async def scenario(batcher: Batcher) -> None:
        assert outputs(await batcher.submit(items(b"1", b"bad", b"3"))) == [b"1", "ValueError: no good", b"3"]

    drive(model, scenario, model.gate)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
def test_an_item_fails_with_whatever_was_raised(error: BaseException) -> None:
    def raises(given: Sequence[Item]) -> list[Answer]:
        if any(item["input"] == b"bad" for item in given):
            raise error
        return [Answer({"out": item["input"]}) for item in given]

    async def scenario(batcher: Batcher) -> None:
        assert outputs(await batcher.submit(items(b"bad"))) == [describe_exception(error)]
        assert outputs(await batcher.submit(items(b"1", b"bad", b"3"))) == [b"1", describe_exception(error), b"3"]

    drive(raises, scenario)


def test_an_error_that_cannot_be_shown_is_named() -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise SystemExit

    assert describe_exception(Unspeakable()) == "Unspeakable"


def test_a_full_queue_refuses_at_once_and_takes_again_later() -> None:
    model = Recorder(gated=True)

    async def scenario(batcher: Batcher) -> None:
        taken = [batcher.submit(items(b"1"))]
        await until_called(model)
        taken += [batcher.submit(items(b"2", b"3"))]
        with pytest.raises(QueueFullError, match="2 items wait for the model, the queue holds 3"):
            batcher.submit(items(b"4", b"5"))
        taken += [batcher.submit(items(b"6"))]
        model.gate.set()
        assert [outputs(await future) for future in taken] == [[b"1"], [b"2", b"3"], [b"6"]]
        assert outputs(await batcher.submit(items(b"7"))) == [b"7"]

    drive(model, scenario, model.gate, queue_size=3)


@pytest.mark.parametrize(("batch_size", "most"), [(1, 3), (10, 10)])
def test_a_request_larger_than_the_queue_and_a_batch_is_refused_even_when_nothing_waits(
    batch_size: int, most: int
) -> None:
    model = Recorder()

    async def scenario(batcher: Batcher) -> None:
        with pytest.raises(RequestError, match=f"the request has {most + 1} items, at most {most} are taken"):
            batcher.submit(items(*[b"x"] * (most + 1)))
        assert len(await batcher.submit(items(*[b"x"] * most))) == most

    drive(model, scenario, model.gate, batch_size=batch_size, queue_size=3)


def test_a_cancelled_request_is_left_out() -> None:
    model = Recorder(gated=True)

    async def scenario(batcher: Batcher) -> None:
        first = batcher.submit(items(b"1"))
        await until_called(model)
        gone, stays = batcher.submit(items(b"2")), batcher.submit(items(b"3"))
        gone.cancel()
        model.gate.set()
        assert outputs(await stays) == [b"3"]
        assert outputs(await first) == [b"1"]

    drive(model, scenario, model.gate)
    assert model.batches == [[b"1"], [b"3"]]


def test_without_max_wait_an_idle_model_starts_at_once() -> None:
    model = Recorder()

    async def scenario(batcher: Batcher) -> None:
        await batcher.submit(items(b"1"))

    drive(model, scenario, model.gate, batch_size=100, max_wait=0)
    assert model.batches == [[b"1"]]


def test_what_comes_in_turns_of_the_loop_that_follow_each_other_is_one_batch() -> None:
    model = Recorder()

    async def scenario(batcher: Batcher) -> None:
        async def request(number: int) -> None:
            for _ in range(number):
                await asyncio.sleep(0)
            assert outputs(await batcher.submit(items(b"%d" % number))) == [b"%d" % number]

        await asyncio.gather(*[request(number) for number in range(6)])

    drive(model, scenario, model.gate)
    assert model.batches == [[b"0", b"1", b"2", b"3"], [b"4", b"5"]]


def test_max_wait_ends_when_the_batch_is_full() -> None:
    model = Recorder()

    async def scenario(batcher: Batcher) -> None:
        futures = [batcher.submit(items(b"%d" % number)) for number in range(3)]
        await asyncio.gather(*futures)

    drive(model, scenario, model.gate, batch_size=3, max_wait=LIMIT * 2)
    assert model.batches == [[b"0", b"1", b"2"]]


def test_max_wait_is_bounded() -> None:
    model = Recorder()

    async def scenario(batcher: Batcher) -> None:
        assert outputs(await batcher.submit(items(b"1"))) == [b"1"]

    drive(model, scenario, model.gate, batch_size=3, max_wait=0.05)


def test_a_call_past_its_limit_fails_its_items_and_later_ones_are_answered() -> None:
    model = Recorder(gated=True)

    async def scenario(batcher: Batcher) -> None:
        stuck = batcher.submit(items(b"1"))
        await until_called(model)
        assert batcher.overdue(LIMIT) == []
        assert len(batcher.overdue(0)) == 1
        assert outputs(await stuck) == ["the model did not answer within its run timeout of 0 s"]
        after = batcher.submit(items(b"2"))
        model.gate.set()
        assert outputs(await after) == [b"2"]
        assert batcher.overdue(0) == []

    drive(model, scenario, model.gate)


def test_a_full_batch_is_ready_before_the_thread_asks_for_it() -> None:
    model = Recorder(gated=True)

    async def scenario(batcher: Batcher) -> None:
        futures = [batcher.submit(items(b"%d" % number)) for number in range(10)]
        await until_called(model)
        assert batcher.waiting() == 6
        futures[5].cancel()
        model.gate.set()
        assert outputs(await futures[9]) == [b"9"]

    drive(model, scenario, model.gate)
    assert model.batches == [[b"0", b"1", b"2", b"3"], [b"4", b"6", b"7"], [b"8", b"9"]]


def test_random_requests_with_failures_and_cancellations_are_all_accounted_for() -> None:
    model = Recorder()
    choices = random.Random(7)

    async def scenario(batcher: Batcher) -> None:
        async def request(number: int) -> None:
            contents = [choices.choice([b"bad", b"%d-%d" % (number, index)]) for index in range(choices.randint(0, 9))]
            future = batcher.submit(items(*contents))
            if choices.random() < 0.1:
                future.cancel()
                return
            expected = ["ValueError: no good" if content == b"bad" else content for content in contents]
            assert outputs(await future) == expected

        await asyncio.gather(*[request(number) for number in range(300)])

    drive(model, scenario, model.gate, queue_size=10_000)

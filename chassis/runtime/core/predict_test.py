"""Tests of chassis.runtime.core.predict: four kinds of function, and what they may give."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chassis.declaration.model_io import ModelInput, ModelOutput
from chassis.runtime.core.contract import Contract
from chassis.runtime.core.predict import ModelContractError, PredictFunction

KINDS: dict[str, tuple[Any, str, int]] = {
    "bytes": (lambda content: len(content), "bytes", 0),
    "batch of bytes": (lambda contents: [len(content) for content in contents], "bytes", 4),
    "mapping": (lambda item: {"results.json": b"%d" % len(item["input"])}, "mapping", 0),
    "batch of mappings": (
        lambda items: tuple({"results.json": b"%d" % len(item["input"])} for item in items),
        "mapping",
        4,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_answers_in_order(kind: str) -> None:
    function, signature, batch_size = KINDS[kind]
    predict = PredictFunction(function, signature, batch_size, Contract())
    answers = predict([{"input": b"a"}, {"input": b""}, {"input": b"abc"}])
    assert [answer.output for answer in answers] == [{"results.json": number} for number in (b"1", b"0", b"3")]


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ([1], "returned 1 results for 2 inputs"),
        ([1, 2, 3], "returned 3 results for 2 inputs"),
        (None, "returned None, expected a list"),
        ("ab", "returned a str, expected a list"),
        ({"a": 1, "b": 2}, "returned a dict, expected a list"),
        (iter([1, 2]), "returned a list_iterator, expected a list"),
    ],
)
def test_a_batch_function_must_return_one_result_for_each_input(returned: object, reason: str) -> None:
    predict = PredictFunction(lambda _: returned, "bytes", 4, Contract())
    with pytest.raises(ModelContractError, match=reason):
        predict([{"input": b""}, {"input": b""}])


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (None, "the model returned None, expected a mapping from output name to bytes"),
        ([b""], "the model returned a list, expected a mapping"),
        ({"a": "text"}, "returned a str for output 'a'"),
        ({1: b""}, "for output 1, expected a str name and bytes"),
        ({"\ud800": b""}, "an output named '\\ud800', which UTF-8 cannot express"),
    ],
)
def test_a_mapping_function_must_return_named_bytes(returned: object, reason: str) -> None:
    (answer,) = PredictFunction(lambda _: returned, "mapping", 0, Contract())([{}])
    assert answer.output is None
    assert reason in (answer.error or "")


def test_buffers_are_sent_as_bytes() -> None:
    (answer,) = PredictFunction(lambda _: {"a": bytearray(b"x"), "b": memoryview(b"y")}, "mapping", 0, Contract())([{}])
    assert answer.output == {"a": b"x", "b": b"y"}


def test_the_declared_names_are_used() -> None:
    contract = Contract((ModelInput("image.png"),), (ModelOutput("labels.json"),))
    (answer,) = PredictFunction(len, "bytes", 0, contract)([{"image.png": b"abc", "more": b""}])
    assert answer.output == {"labels.json": b"3"}


def test_an_output_above_its_max_size_fails_with_both_sizes() -> None:
    contract = Contract(outputs=(ModelOutput("results.json", max_size="1K"),))
    (answer,) = PredictFunction(lambda _: "x" * 2000, "bytes", 0, contract)([{"input": b""}])
    assert answer.error == "output 'results.json' has 2002 bytes, more than its max_size 1K (1024 bytes)"


@pytest.mark.parametrize("runner", [True, False])
def test_what_an_async_function_left_running_ends_with_it(runner: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Python 3.10 too, which lacks `asyncio.Runner`."""
    if not runner:
        monkeypatch.delattr(asyncio, "Runner", raising=False)
    ended = []

    async def endless(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async def letters(content: bytes) -> AsyncIterator[str]:
        left = asyncio.create_task(endless("task"))
        try:
            for letter in content.decode():
                await asyncio.sleep(0)
                yield letter
        finally:
            ended.append(f"generator, {left.done()}")

    predict = PredictFunction(letters, "bytes", 0, Contract())
    assert [piece.output for piece in predict.stream({"input": b"ab"})] == [
        {"results.json": b'"a"'},
        {"results.json": b'"b"'},
    ]
    assert ended == ["generator, False", "task"]
    with contextlib.closing(predict.stream({"input": b"ab"})) as stream:
        next(stream)
    assert ended[2:] == ["generator, False", "task"]


@pytest.mark.parametrize("runner", [True, False])
def test_a_coroutine_gives_its_result_and_not_a_list_of_it(runner: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not runner:
        monkeypatch.delattr(asyncio, "Runner", raising=False)

    async def later(content: bytes) -> int:
        return len(content)

    predict = PredictFunction(later, "bytes", 0, Contract())
    assert predict([{"input": b"abc"}])[0].output == {"results.json": b"3"}
    assert [piece.output for piece in predict.stream({"input": b"abc"})] == [{"results.json": b"3"}]

"""The four kinds of predict function of bytes behind one call: items in, answers out."""

from __future__ import annotations

import contextlib
import math
import time
import types
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from chassis.call import Request, Result
from chassis.runtime.core.answer import Answer, ErrorKind, Item, failed
from chassis.runtime.core.contract import Contract
from chassis.runtime.core.json_result import encode

UNTYPED = ("bytes", "mapping")
"""What one item is for the function: the bytes of its first input, or the whole mapping; others are typed."""


class ModelContractError(Exception):
    """A predict function that returned something else than its kind promises; no retry mends it."""


class Predict(Protocol):
    """What answers items: a `PredictFunction`, or one whose inputs are typed."""

    @property
    def batch_size(self) -> int:
        """The most items of one call; 0 for a function that takes one item."""

    @property
    def contract(self) -> Contract:
        """What it declares."""

    def __call__(self, items: Sequence[Item], requests: Sequence[Request] = ()) -> list[Answer]:
        """Answers `items`, see `PredictFunction`."""

    def stream(self, item: Item, requests: Sequence[Request] = ()) -> Iterator[Answer]:
        """Answers `item` piece by piece."""


class PredictFunction(NamedTuple):
    """A predict function with what it declares.

    Attributes:
      function: one of the four kinds.
      signature: one of `UNTYPED`; with another a `TypedFunction` calls it.
      batch_size: the most items of one call; 0 for a function that takes one item.
      contract: declared inputs and outputs, and whether the function takes the request.
      run_timeout: the most seconds of a call, which bound a request's deadline; None for no bound.
    """

    function: Callable[..., object]
    signature: str
    batch_size: int
    contract: Contract
    run_timeout: float | None = None

    def __call__(self, items: Sequence[Item], requests: Sequence[Request] = ()) -> list[Answer]:
        """Answers `items`, in order: at most `batch_size` of them, or one if that is 0.

        A function that takes the request is told of `requests`, one for each item, or of nobody's if there are none.
        An item whose result cannot be sent fails alone.

        Raises:
          ModelContractError: the function did not return one result for each item.
          BaseException: whatever the function raises.
        """
        if self.signature == "bytes":
            name = self.contract.inputs[0].name
            arguments: list[object] = [item[name] for item in items]
        else:
            arguments = list(items)
        if not self.contract.takes_request:
            if self.batch_size:
                return [self._answer(result) for result in self._results(arguments)]
            return [self._whole(self.function(argument)) for argument in arguments]
        told = self.told(requests, len(items))
        if self.batch_size:
            return [self._answer(result) for result in self._results(arguments, requests=told)]
        return [
            self._whole(self.function(argument, request=request))
            for argument, request in zip(arguments, told, strict=True)
        ]

    def told(self, requests: Sequence[Request], count: int) -> list[Request]:
        """`requests`, or nobody's for each of `count` items if there are none, that end with the run timeout."""
        until = math.inf if self.run_timeout is None else time.monotonic() + self.run_timeout
        return [_until(until, request) for request in requests or [Request()] * count]

    def stream(self, item: Item, requests: Sequence[Request] = ()) -> Iterator[Answer]:
        """Answers `item` piece by piece if the function is a generator, of either kind; else once.

        A piece that cannot be sent fails, and is the last. To close the iterator closes the function's generator.

        Raises:
          BaseException: whatever the function raises.
        """
        if self.batch_size:
            yield self([item], requests)[0]
            return
        argument: object = item[self.contract.inputs[0].name] if self.signature == "bytes" else item
        told = {"request": requests[0] if requests else Request()} if self.contract.takes_request else {}
        with contextlib.closing(pieces(self.function(argument, **told))) as given:
            for piece in given:
                answer = self._answer(piece)
                yield answer
                if answer.error is not None:
                    return

    def _answer(self, result: object) -> Answer:
        """The answer that a result, or a piece, is."""
        if isinstance(result, Result):
            answer = self._answer(result.value)
            return answer if answer.output is None else answer._replace(parameters=dict(result.parameters))
        return self._json_answer(result) if self.signature == "bytes" else self._mapping_answer(result)

    def _whole(self, result: object) -> Answer:
        """The answer to an item at once. Of a generator of JSON-able values it is their list.

        Of mappings it is each output's bytes, one piece's after another's. Of parameters the latest count.
        """
        if not is_stream(result):
            return self._answer(result)
        parameters: dict[str, object] = {}
        values: list[object] = []
        joined: dict[str, bytearray] = {}
        with contextlib.closing(pieces(result)) as given:
            if isinstance(result, types.CoroutineType):
                return self._answer(next(given))
            for piece in given:
                value = piece
                if isinstance(piece, Result):
                    parameters |= piece.parameters
                    value = piece.value
                if self.signature == "bytes":
                    values.append(value)
                    continue
                answer = self._mapping_answer(value)
                if answer.output is None:
                    return answer
                for name, content in answer.output.items():
                    joined.setdefault(name, bytearray()).extend(content)
        whole: object = values if self.signature == "bytes" else joined
        return self._answer(Result(whole, parameters) if parameters else whole)

    def _results(self, arguments: list[object], **told: object) -> Sequence[object]:
        results = self.function(arguments, **told)
        if hasattr(results, "tolist") and not isinstance(results, list | tuple):
            results = list(results)  # type: ignore[call-overload]
        if not isinstance(results, Sequence) or isinstance(results, str | bytes | bytearray):
            raise ModelContractError(
                f"the batch function returned {_a(results)}, expected a list with one result for each input"
            )
        if len(results) != len(arguments):
            raise ModelContractError(
                f"the batch function returned {len(results)} results for {len(arguments)} inputs, expected one for each"
            )
        return results

    def _json_answer(self, result: object) -> Answer:
        try:
            content = encode(result)
        except (TypeError, ValueError, RecursionError) as error:
            return failed(f"the model's result cannot be sent: {error}", ErrorKind.CONTRACT)
        return self._bounded({self.contract.outputs[0].name: content})

    def _mapping_answer(self, result: object) -> Answer:
        if not isinstance(result, Mapping):
            reason = f"the model returned {_a(result)}, expected a mapping from output name to bytes"
            return failed(reason, ErrorKind.CONTRACT)
        output = {}
        for name, content in result.items():
            if not isinstance(name, str) or not isinstance(content, bytes | bytearray | memoryview):
                reason = f"the model returned {_a(content)} for output {name!r}, expected a str name and bytes"
                return failed(reason, ErrorKind.CONTRACT)
            if not _is_text(name):
                reason = f"the model returned an output named {name!r}, which UTF-8 cannot express"
                return failed(reason, ErrorKind.CONTRACT)
            output[str(name)] = bytes(content)
        return self._bounded(output)

    def _bounded(self, output: Mapping[str, bytes]) -> Answer:
        fault = self.contract.fault(output)
        return failed(fault, ErrorKind.CONTRACT) if fault else Answer(output)


def _until(latest: float, request: Request) -> Request:
    """`request` with a deadline of `latest` or before."""
    own = math.inf if request.deadline is None else request.deadline
    until = min(own, latest)
    return request if until == own else request._replace(deadline=until)


def is_stream(result: object) -> bool:
    """Whether a function gave a generator, or an async one, or what is to be awaited."""
    return isinstance(result, types.GeneratorType | types.AsyncGeneratorType | types.CoroutineType)


def pieces(result: object) -> Generator[object, None, None]:
    """What a function gave, one by one: of a generator each value; of an async one too, in an event loop of its own."""
    if isinstance(result, types.GeneratorType):
        yield from result
        return
    if not isinstance(result, types.AsyncGeneratorType | types.CoroutineType):
        yield result
        return
    import asyncio  # here, since few functions need it

    if hasattr(asyncio, "Runner"):
        with asyncio.Runner() as runner:
            yield from _awaited(result, runner.run)
    else:
        loop = asyncio.new_event_loop()
        try:
            yield from _awaited(result, loop.run_until_complete)
        finally:
            loop.run_until_complete(_ended())
            loop.close()


def _awaited(
    result: AsyncGenerator[object, None] | Coroutine[object, object, object],
    run: Callable[[Coroutine[Any, Any, object]], object],
) -> Generator[object, None, None]:
    if isinstance(result, types.CoroutineType):
        yield run(result)
        return
    given: Any = result
    try:
        while True:
            yield run(_next(given))
    except StopAsyncIteration:
        return
    finally:
        run(_closed(given))


async def _ended() -> None:
    """Ends what a function left running in the event loop, as `asyncio.Runner` does, which Python 3.10 lacks."""
    import asyncio

    loop = asyncio.get_running_loop()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()


async def _next(given: AsyncGenerator[object, None]) -> object:
    return await anext(given)


async def _closed(given: AsyncGenerator[object, None]) -> None:
    await given.aclose()


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _a(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"

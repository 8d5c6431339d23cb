"""The four kinds of predict function behind one call: items in, answers out."""

from __future__ import annotations

import contextlib
import types
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from typing import NamedTuple

from chassis.runtime.core.answer import Answer, ErrorKind, Item, failed
from chassis.runtime.core.contract import Contract
from chassis.runtime.core.json_result import encode

SIGNATURES = ("bytes", "mapping")
"""What one item is for the function: the bytes of its first input, or the whole mapping."""


class ModelContractError(Exception):
    """A predict function that returned something else than its kind promises; no retry mends it."""


class PredictFunction(NamedTuple):
    """A predict function with what it declares.

    Attributes:
      function: one of the four kinds.
      signature: one of `SIGNATURES`.
      batch_size: the most items of one call; 0 for a function that takes one item.
      contract: declared inputs and outputs.
    """

    function: Callable[..., object]
    signature: str
    batch_size: int
    contract: Contract

    def __call__(self, items: Sequence[Item]) -> list[Answer]:
        """Answers `items`, in order: at most `batch_size` of them, or one if that is 0.

        An item whose result cannot be sent fails alone.

        Raises:
          ModelContractError: the function did not return one result for each item.
          BaseException: whatever the function raises.
        """
        convert = self._json_answer if self.signature == "bytes" else self._mapping_answer
        if self.signature == "bytes":
            name = self.contract.inputs[0].name
            arguments: list[object] = [item[name] for item in items]
        else:
            arguments = list(items)
        if self.batch_size:
            return [convert(result) for result in self._results(arguments)]
        return [self._whole(self.function(argument), convert) for argument in arguments]

    def stream(self, item: Item) -> Iterator[Answer]:
        """Answers `item` piece by piece if the function is a generator, of either kind; else once.

        A piece that cannot be sent fails, and is the last. To close the iterator closes the function's generator.

        Raises:
          BaseException: whatever the function raises.
        """
        convert = self._json_answer if self.signature == "bytes" else self._mapping_answer
        argument: object = item[self.contract.inputs[0].name] if self.signature == "bytes" else item
        if self.batch_size:
            yield convert(self._results([argument])[0])
            return
        with contextlib.closing(pieces(self.function(argument))) as given:
            for piece in given:
                answer = convert(piece)
                yield answer
                if answer.error is not None:
                    return

    def _whole(self, result: object, convert: Callable[[object], Answer]) -> Answer:
        """The answer to an item at once. Of a generator of JSON-able values it is their list.

        Of mappings it is each output's bytes, one piece's after another's.
        """
        if not is_stream(result):
            return convert(result)
        with contextlib.closing(pieces(result)) as given:
            if self.signature == "bytes":
                return convert(list(given))
            joined: dict[str, bytearray] = {}
            for piece in given:
                answer = convert(piece)
                if answer.output is None:
                    return answer
                for name, content in answer.output.items():
                    joined.setdefault(name, bytearray()).extend(content)
            return self._bounded({name: bytes(content) for name, content in joined.items()})

    def _results(self, arguments: list[object]) -> Sequence[object]:
        results = self.function(arguments)
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

    with asyncio.Runner() as runner:
        if isinstance(result, types.CoroutineType):
            yield runner.run(result)
            return
        try:
            while True:
                yield runner.run(_next(result))
        except StopAsyncIteration:
            return
        finally:
            runner.run(_closed(result))


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

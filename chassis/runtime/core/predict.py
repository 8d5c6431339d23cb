"""The four kinds of predict function behind one call: items in, answers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
        """Answers `items`, in order: at most `batch_size` of them, or one where that is 0.

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
        return [convert(self.function(argument)) for argument in arguments]

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


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _a(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"

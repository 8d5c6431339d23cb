"""A predict function that takes what its annotation says: a data frame, arrays, records, a picture, a text."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from chassis.call import Request, Result
from chassis.runtime.codecs import results
from chassis.runtime.codecs.input_error import InputError
from chassis.runtime.codecs.rows import RowReader
from chassis.runtime.codecs.values import ValueCodec, image, json_object, text
from chassis.runtime.core.answer import Answer, ErrorKind, Item, failed
from chassis.runtime.core.contract import Contract
from chassis.runtime.core.predict import ModelContractError, PredictFunction, is_stream, pieces


class Codec(Protocol):
    """From items to what the function takes.

    Attributes:
      many: whether the function takes several items whatever its batch size is, as a table has several rows.
    """

    many: bool

    def read(self, item: Mapping[str, bytes]) -> object:
        """The value of one item; it depends on that item alone.

        Raises:
          InputError: the item is not what the model declares.
        """

    def key(self, value: Any) -> Hashable:
        """What values have to agree in to be joined."""

    def join(self, values: Sequence[Any]) -> object:
        """What the function takes for several items."""


class _Call(NamedTuple):
    """The items of one call of the function: their places in the batch, their values, and what is told of them."""

    places: list[int]
    values: list[object]
    told: list[Request]


class TypedFunction:
    """As `PredictFunction`, for a signature that is neither of bytes nor of mappings of them."""

    def __init__(self, predict: PredictFunction) -> None:
        """Takes the function, and all that it declares.

        Raises:
          ImportError: what the inputs are read with, pandas or NumPy, is not there.
        """
        self._predict = predict
        self._codec = codec(predict.signature, predict.contract, predict.function)
        self.batch_size = predict.batch_size
        self.contract = predict.contract
        self.signature = predict.signature

    def __call__(self, items: Sequence[Item], requests: Sequence[Request] = ()) -> list[Answer]:
        """As `PredictFunction`; an item that is not what the model declares fails alone, before the function is called.

        Raises:
          ModelContractError: the function did not return one result for each item.
          BaseException: whatever the function raises.
        """
        answers: list[Answer] = [Answer({})] * len(items)
        told = self._predict.told(requests, len(items)) if self.contract.takes_request else []
        calls: dict[Hashable, _Call] = {}
        for place, item in enumerate(items):
            try:
                value = self._codec.read(item)
            except InputError as error:
                answers[place] = failed(str(error), ErrorKind.INPUT)
                continue
            call = calls.setdefault(self._codec.key(value), _Call([], [], []))
            call.places.append(place)
            call.values.append(value)
            call.told.extend(told[place : place + 1])
        for call in calls.values():
            for place, answer in zip(call.places, self._answers(call), strict=True):
                answers[place] = answer
        return answers

    def stream(self, item: Item, requests: Sequence[Request] = ()) -> Iterator[Answer]:
        """As `PredictFunction.stream`."""
        if self.batch_size or self._codec.many:
            yield self([item], requests)[0]
            return
        try:
            value = self._codec.read(item)
        except InputError as error:
            yield failed(str(error), ErrorKind.INPUT)
            return
        told = {"request": requests[0] if requests else Request()} if self.contract.takes_request else {}
        with contextlib.closing(pieces(self._predict.function(value, **told))) as given:
            for piece in given:
                answer = self._answer(piece)
                yield answer
                if answer.error is not None:
                    return

    def _answers(self, call: _Call) -> list[Answer]:
        function, takes_request = self._predict.function, self.contract.takes_request
        if not self.batch_size and not self._codec.many:
            told = [{"request": request} for request in call.told] if takes_request else [{} for _ in call.values]
            return [self._whole(function(value, **one)) for value, one in zip(call.values, told, strict=True)]
        named: dict[str, object] = {}
        if takes_request:
            named = {"requests": call.told} if self.batch_size else {"request": call.told[0]}
        found: Any = function(self._codec.join(call.values), **named)
        count = len(call.values)
        parameters: Mapping[str, object] | None = None
        if isinstance(found, Result):
            found, parameters = found.value, dict(found.parameters)
        split = results.split(found, count)
        if split is None:
            size = f" of {len(found)}" if hasattr(found, "__len__") and getattr(found, "shape", True) else ""
            raise ModelContractError(
                f"the function returned a {type(found).__name__}{size} for {count} inputs, expected one result for "
                "each: a list, an array, a series, a frame, or a mapping of them by output"
            )
        answers = [self._answer(value) for value in split]
        if parameters:
            answers = [one._replace(parameters={**parameters, **(one.parameters or {})}) for one in answers]
        return answers

    def _whole(self, result: object) -> Answer:
        """The answer to one item; of a generator the list of its pieces."""
        if not is_stream(result):
            return self._answer(result)
        with contextlib.closing(pieces(result)) as given:
            if isinstance(result, types.CoroutineType):
                return self._answer(next(given))
            values: list[object] = []
            parameters: dict[str, object] = {}
            for piece in given:
                if isinstance(piece, Result):
                    parameters |= piece.parameters
                    piece = piece.value
                values.append(piece)
        return self._answer(Result(values, parameters) if parameters else values)

    def _answer(self, result: object) -> Answer:
        if isinstance(result, Result):
            answer = self._answer(result.value)
            return answer if answer.output is None else answer._replace(parameters=dict(result.parameters))
        try:
            output = results.outputs(result, self.contract.outputs)
        except (TypeError, ValueError, ArithmeticError, LookupError, OSError, RecursionError) as error:
            return failed(f"the model's result cannot be sent: {error}", ErrorKind.CONTRACT)
        fault = self.contract.fault(output)
        return failed(fault, ErrorKind.CONTRACT) if fault else Answer(output)


def codec(signature: str, contract: Contract, function: object = None) -> Codec:
    """What reads the items of `function`, which is of `signature`; a `RecordFunction` says of what class they are.

    Raises:
      ImportError: what it reads them with is not there.
    """
    name = contract.inputs[0].name
    if signature == "table":
        from chassis.runtime.codecs.tables import TableCodec  # here, since it imports pandas

        return TableCodec(name, contract.columns)
    if signature in ("array", "arrays"):
        from chassis.runtime.codecs.arrays import ArrayCodec, ArraysCodec  # here, since it imports NumPy

        return ArrayCodec(contract.inputs[0]) if signature == "array" else ArraysCodec(contract.inputs)
    reads: dict[str, Callable[[bytes], object]] = {"text": text, "image": image, "json": json_object}
    if contract.columns:
        reads["json"] = reads["rows"] = _rows(contract, function)
    return ValueCodec(name, reads[signature])


def _rows(contract: Contract, function: object) -> Callable[[bytes], object]:
    """What reads a row: as a dict, or as the dataclass that `function` takes."""
    record: Any = getattr(function, "record", None)
    if record is None:
        return RowReader(contract.columns).read
    reader = RowReader(contract.columns, getattr(function, "left_out", frozenset()))

    def read(content: bytes) -> object:
        row = reader.read(content)
        try:
            return record(**row)
        except ValueError as error:  # of its `__post_init__`
            raise InputError(f"the row is not a {record.__name__}: {error}") from None

    return read

"""From a request's tensors to the items of a typed function, and what such a function's inputs are called as tensors.

Rows come as one tensor for each column, or all in the model's one input: rows of JSON, or of numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence

from chassis.declaration.columns import Column
from chassis.declaration.tensor import BYTES, item_shape
from chassis.runtime.codecs.npy import TYPES, header
from chassis.runtime.core.answer import Item
from chassis.runtime.core.contract import Contract, Part
from chassis.runtime.core.request_error import RequestError, quoted
from chassis.runtime.inference.tensor import Tensor, pack


def typed_items(contract: Contract, tensors: Sequence[Tensor]) -> list[Item]:
    """One item for each element of the tensors' first dimension, which all have.

    Raises:
      RequestError: tensors that are not what the model declares.
    """
    columns = {column.name: column for column in contract.columns}
    names = [tensor.name for tensor in tensors]
    if columns and names[0] in columns:
        other = next((name for name in names if name not in columns), None)
        if other is not None:
            raise RequestError(400, f"there is no column {other!r}, the model has {quoted(columns)}")
        return _rows(contract.inputs[0].name, [(columns[tensor.name], tensor) for tensor in tensors])
    parts = {part.name: part for part in contract.inputs}
    other = next((name for name in names if name not in parts), None)
    if other is not None:
        known = f"{quoted(parts)}, or its columns {quoted(columns)}" if columns else quoted(parts)
        raise RequestError(400, f"there is no input {other!r}, the model has {known}")
    numbers = next((tensor for tensor in tensors if tensor.datatype != BYTES), None)
    if numbers is not None and (contract.signature == "text" or (contract.signature == "json" and not columns)):
        raise RequestError(400, f"input {numbers.name!r} is of BYTES, not {numbers.datatype}")
    contents = [_contents(tensor, parts[tensor.name]) for tensor in tensors]
    return [dict(zip(names, row, strict=True)) for row in zip(*contents, strict=True)]


def array_content(part: Part, elements: bytes) -> bytes:
    """An item's tensor, which is what `part` declares, as a typed function's process reads it."""
    shape = item_shape(part.datatype, part.shape, len(elements))
    assert shape is not None
    return header(part.datatype, shape) + elements


def _contents(tensor: Tensor, part: Part) -> list[bytes]:
    """The content of each item: of BYTES the element, of numbers an array of NumPy's format."""
    if tensor.datatype == BYTES:
        return tensor.items()
    given = tensor.shape[1:]
    if part.datatype != BYTES:
        fits = len(given) == len(part.shape) and all(
            length in (-1, size) for length, size in zip(part.shape, given, strict=True)
        )
        if not fits:
            raise RequestError(
                400,
                f"input {tensor.name!r} has shape {list(tensor.shape)}, expected {[-1, *part.shape]} (-1: any size)",
            )
    datatype = tensor.datatype
    if datatype not in TYPES:  # BF16, each of which is an FP32
        datatype = "FP32"
        tensor = tensor._replace(datatype=datatype, elements=[pack(tensor.name, datatype, list(tensor.numbers()))])
    start = header(datatype, given)
    return [start + content for content in tensor.items()]


def _rows(name: str, given: Sequence[tuple[Column, Tensor]]) -> list[Item]:
    """Rows of JSON, of one tensor for each column."""
    count = given[0][1].shape[0]
    cells = [_cells(column, tensor, count) for column, tensor in given]
    encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
    names = [column.name for column, _ in given]
    try:
        return [{name: encode(dict(zip(names, row, strict=True))).encode()} for row in zip(*cells, strict=True)]
    except ValueError:
        infinite = [one for one, values in zip(names, cells, strict=True) if math.inf in map(_absolute, values)]
        raise RequestError(400, f"column {infinite[0]!r} holds an infinity") from None


def _absolute(value: object) -> object:
    return abs(value) if isinstance(value, float) else value


def _cells(column: Column, tensor: Tensor, count: int) -> list[object]:
    """The values of a column; a number that is NaN, or one that the request left out, is missing."""
    if len(tensor.shape) > 1 and math.prod(tensor.shape[1:]) != 1:
        raise RequestError(
            400, f"column {column.name!r} has shape {list(tensor.shape)}, expected one value an item: [{count}]"
        )
    read: Callable[[object], object] = _number
    if tensor.datatype == BYTES:
        read = _decoder(column)
    values = [read(value) for value in tensor.numbers()]
    for place in tensor.missing:
        values.insert(place, None)
    return values


def _number(value: object) -> object:
    return None if value != value else value


def _decoder(column: Column) -> Callable[[object], object]:
    def decode(value: object) -> object:
        assert isinstance(value, bytes | memoryview)
        try:
            return bytes(value).decode()
        except UnicodeDecodeError as error:
            raise RequestError(400, f"column {column.name!r} is not UTF-8: byte {error.start}") from None

    return decode

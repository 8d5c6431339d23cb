"""Tensors of the Open Inference Protocol: datatypes, shapes, and their forms in JSON and in bytes.

https://github.com/kserve/open-inference-protocol: "Tensor Data", "Binary Tensor Data Extension".
"""

from __future__ import annotations

import array
import itertools
import math
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, cast

from chassis.declaration.tensor import BYTES, FLOATS, NUMERIC
from chassis.runtime.base64_text import decode_base64
from chassis.runtime.core.request_error import RequestError

_MAX_DIMENSIONS = 32
_MAX_SIZE = 1 << 40

_ARRAYS = {
    "BOOL": "B",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP32": "f",
    "FP64": "d",
}
"""Type codes of the module array, whose sizes are these on every machine that the images are for."""


class Tensor(NamedTuple):
    """A tensor whose elements are in memory.

    Attributes:
      name: of the model's input or output.
      datatype: BYTES or one of `NUMERIC`.
      shape: its sizes; the first counts items.
      elements: of BYTES, one content each; of the others one buffer of all, little-endian, row-major.
      missing: of a column, where values are missing, in order; the elements are without them.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    elements: Sequence[bytes | memoryview]
    missing: Sequence[int] = ()

    def items(self) -> list[bytes]:
        """The content of each item: its one BYTES element, or the bytes of its numbers.

        Raises:
          RequestError: a BYTES tensor with more than one element in an item.
        """
        count = self.shape[0]
        if self.datatype == BYTES:
            if len(self.elements) != count:
                raise RequestError(
                    400,
                    f"input {self.name!r}: shape {list(self.shape)} has {len(self.elements) // count} elements in each "
                    "item, expected one: shape [n] or [n, 1]",
                )
            return cast("list[bytes]", list(self.elements))
        if count == 1:
            return [bytes(self.elements[0])]
        buffer = memoryview(self.elements[0])
        size = len(buffer) // count
        return [bytes(buffer[index * size : (index + 1) * size]) for index in range(count)]

    def raw(self) -> bytes:
        """All elements in one buffer; a BYTES element has its length before it, 4 bytes, little-endian."""
        if self.datatype != BYTES:
            return cast(bytes, self.elements[0])
        return b"".join(part for element in self.elements for part in (struct.pack("<I", len(element)), element))

    def numbers(self) -> Sequence[bytes] | tuple[object, ...]:
        """All elements: of BYTES as bytes, of the others as numbers or booleans."""
        if self.datatype == BYTES:
            return cast("Sequence[bytes]", self.elements)
        form, size = NUMERIC[self.datatype]
        if self.datatype == "BF16":
            halves = struct.unpack(f"<{len(self.elements[0]) // size}H", self.elements[0])
            return struct.unpack(f"<{len(halves)}f", struct.pack(f"<{len(halves)}I", *(half << 16 for half in halves)))
        return struct.unpack(f"<{len(self.elements[0]) // size}{form}", self.elements[0])

    def values(self) -> list[object]:
        """All elements for JSON.

        Raises:
          UnicodeDecodeError: a BYTES element that is not UTF-8.
          ValueError: a number that JSON lacks.
        """
        if self.datatype == BYTES:
            return [bytes(element).decode() for element in self.elements]
        numbers = list(self.numbers())
        if self.datatype in FLOATS and not all(map(math.isfinite, numbers)):  # type: ignore[arg-type]
            raise ValueError("JSON has no infinity and no NaN")
        return numbers


def check_shape(name: str, shape: object) -> tuple[int, ...]:
    """The shape of input `name`.

    Raises:
      RequestError: it is not a list of sizes, or has no items.
    """
    if (
        not isinstance(shape, list)
        or not 0 < len(shape) <= _MAX_DIMENSIONS
        or not all([type(size) is int and 0 <= size < _MAX_SIZE for size in shape])
        or not shape[0]
    ):
        raise RequestError(400, f"input {name!r}: its shape is a list of sizes; the first counts items, at least 1")
    return tuple(shape)


def check_datatype(name: str, datatype: object) -> str:
    """The datatype of input `name`.

    Raises:
      RequestError: it is not one of the protocol's.
    """
    if not isinstance(datatype, str) or (datatype != BYTES and datatype not in NUMERIC):
        raise RequestError(400, f"input {name!r}: its datatype is one of {', '.join((BYTES, *NUMERIC))}")
    return datatype


def from_raw(name: str, datatype: str, shape: tuple[int, ...], content: bytes | memoryview) -> Tensor:
    """A tensor of the elements in `content`, in the form of `Tensor.raw`.

    Raises:
      RequestError: the bytes do not fit the shape.
    """
    count = math.prod(shape)
    if datatype == BYTES:
        elements = list(_split(name, content))
        if len(elements) != count:
            raise _miscounted(name, shape, len(elements))
        return Tensor(name, datatype, shape, elements)
    expected = count * NUMERIC[datatype][1]
    if len(content) != expected:
        raise RequestError(
            400, f"input {name!r}: {len(content)} bytes of data, expected {expected} for {datatype} {list(shape)}"
        )
    return Tensor(name, datatype, shape, [content])


def from_base64(tensor: Tensor) -> Tensor:
    """What `tensor` stands for, whose elements are base64 if it is of BYTES: its parameter `content_type` says so.

    Raises:
      RequestError: an element is not base64.
    """
    if tensor.datatype != BYTES:
        return tensor
    elements = []
    for index, element in enumerate(tensor.elements):
        try:
            elements.append(decode_base64(element))
        except ValueError:
            raise RequestError(400, f"input {tensor.name!r}: element {index} is not base64") from None
    return tensor._replace(elements=elements)


def from_values(
    name: str, datatype: str, shape: tuple[int, ...], data: object, *, is_base64: bool, nulls: bool = False
) -> Tensor:
    """A tensor of JSON values, flat or nested; strings of BYTES are UTF-8, or base64 if `is_base64`.

    With `nulls` a value may be missing, which is `null`.

    Raises:
      RequestError: a value that does not fit the datatype, or a count that does not fit the shape.
    """
    if not isinstance(data, list):
        raise RequestError(400, f"input {name!r}: its data is a list")
    values, sizes = data, [len(data)]
    while len(sizes) < _MAX_DIMENSIONS and list in map(type, values):
        size = len(values[0]) if isinstance(values[0], list) else -1
        odd = next((i for i, value in enumerate(values) if not isinstance(value, list) or len(value) != size), None)
        if odd is not None:
            raise RequestError(400, f"input {name!r}: data{_place(odd, sizes)} is not as long as the lists beside it")
        values = list(itertools.chain.from_iterable(values))
        sizes.append(size)
    if len(sizes) == len(shape) and len(sizes) > 1 and tuple(sizes) != shape:
        raise RequestError(400, f"input {name!r}: its data has shape {sizes}, expected {list(shape)}")
    if len(values) != math.prod(shape):
        raise _miscounted(name, shape, len(values))
    missing: Sequence[int] = ()
    if nulls and None in values:
        missing = [place for place, value in enumerate(values) if value is None]
        values = [value for value in values if value is not None]
    if datatype == BYTES:
        elements: list[bytes | memoryview] = [_content(name, value, is_base64, i) for i, value in enumerate(values)]
        return Tensor(name, datatype, shape, elements, missing)
    return Tensor(name, datatype, shape, [pack(name, datatype, values)], missing)


def from_numbers(name: str, datatype: str, shape: tuple[int, ...], values: Iterable[object]) -> Tensor:
    """A tensor of numbers that a protocol has checked to be some, one at a time: a byte of it may be eight here.

    Raises:
      RequestError: one that is out of the datatype's range.
    """
    try:
        found = array.array(_ARRAYS[datatype], values)  # type: ignore[type-var]
    except OverflowError:
        raise RequestError(400, f"input {name!r}: an element is out of the range of {datatype}") from None
    if sys.byteorder == "big":
        found.byteswap()
    return Tensor(name, datatype, shape, [found.tobytes()])


def from_nested(name: str, datatype: str, shape: tuple[int, ...], value: object) -> bytes:
    """The bytes of one item: a number, or lists of them nested as `shape` says, -1 being any length.

    Raises:
      RequestError: it has another shape, or a value that does not fit the datatype.
    """
    values = [value]
    for length in shape:
        found = {len(part) if isinstance(part, list) else -1 for part in values}
        if len(found) != 1 or -1 in found or length not in (-1, *found):
            raise RequestError(400, f"input {name!r}: expected numbers in lists of shape {list(shape)}, -1: any length")
        values = list(itertools.chain.from_iterable(values))  # type: ignore[arg-type]
    return pack(name, datatype, values)


def nested(tensor: Tensor) -> object:
    """The first item's elements as lists nested as its shape says, or its only number.

    Raises:
      ValueError: a number that JSON lacks.
    """
    values = tensor.values()
    for axis in range(len(tensor.shape) - 1, 1, -1):
        length, count = tensor.shape[axis], math.prod(tensor.shape[1:axis])
        values = [values[index * length : (index + 1) * length] for index in range(count)]
    return values if len(tensor.shape) > 1 else values[0]


def pack(name: str, datatype: str, values: Sequence[object]) -> bytes:
    """The bytes of `values`, which are numbers of input `name`, or booleans of BOOL.

    Raises:
      RequestError: a value that does not fit the datatype.
    """
    wanted = {"BOOL": (bool,)}.get(datatype, (int, float) if datatype in FLOATS else (int,))
    try:
        if all(type(value) in wanted for value in values) and (
            datatype not in FLOATS or all(map(math.isfinite, values))  # type: ignore[arg-type]
        ):
            return _packed(datatype, values)
    except (struct.error, OverflowError):
        pass
    for index, value in enumerate(values):
        if type(value) not in wanted:
            raise RequestError(400, f"input {name!r}: element {index} is not of {datatype}")
        try:
            fits = datatype not in FLOATS or math.isfinite(value)  # type: ignore[arg-type]
            _packed(datatype, [value])
        except (struct.error, OverflowError):
            fits = False
        if not fits:
            raise RequestError(400, f"input {name!r}: element {index} is out of the range of {datatype}")
    raise AssertionError("each of the values fits, all of them do not")


def _packed(datatype: str, values: Sequence[object]) -> bytes:
    if datatype != "BF16":
        return struct.pack(f"<{len(values)}{NUMERIC[datatype][0]}", *values)
    words = struct.unpack(f"<{len(values)}I", struct.pack(f"<{len(values)}f", *values))
    # To the nearest, of two that are as near to the even one.
    halves = [(word + 0x7FFF + ((word >> 16) & 1)) >> 16 for word in words]
    if any(half & 0x7F80 == 0x7F80 for half in halves):
        raise OverflowError
    return struct.pack(f"<{len(values)}H", *halves)


def _place(index: int, sizes: Sequence[int]) -> str:
    """`[1][2]`: where the element `index` of lists nested with these sizes is."""
    found = []
    for size in reversed(sizes):
        found.append(index % size)
        index //= size
    return "".join(f"[{position}]" for position in reversed(found))


def _content(name: str, value: object, is_base64: bool, index: int) -> bytes:
    if not isinstance(value, str):
        raise RequestError(400, f"input {name!r}: element {index}: an element of BYTES is a string")
    try:
        return decode_base64(value) if is_base64 else value.encode()
    except ValueError:
        kind = "base64" if is_base64 else "text that UTF-8 can express"
        raise RequestError(400, f"input {name!r}: element {index} is not {kind}") from None


def _split(name: str, content: bytes | memoryview) -> Iterator[bytes]:
    position, buffer = 0, memoryview(content)
    while position < len(buffer):
        if position + 4 > len(buffer):
            raise RequestError(400, f"input {name!r}: its data ends within the length of an element")
        (length,) = struct.unpack_from("<I", buffer, position)
        position += 4
        if position + length > len(buffer):
            raise RequestError(400, f"input {name!r}: its data ends within an element of {length} bytes")
        yield bytes(buffer[position : position + length])
        position += length


def _miscounted(name: str, shape: tuple[int, ...], count: int) -> RequestError:
    return RequestError(400, f"input {name!r}: {count} elements, expected {math.prod(shape)} for shape {list(shape)}")

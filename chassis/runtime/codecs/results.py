"""What a typed function returns: taken apart by item, and each item's part as the declared outputs."""

from __future__ import annotations

import io
import itertools
import struct
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from chassis.declaration.tensor import BYTES, NUMERIC, item_shape, shown
from chassis.runtime.codecs.npy import TYPES
from chassis.runtime.core.contract import Part
from chassis.runtime.core.json_result import encode

_JSON = "application/json"


def split(result: object, count: int) -> Sequence[object] | None:
    """The results of `count` items that one call gave: rows of a frame, elements of an array or a list.

    A mapping has them by output. None if it is not one for each item.
    """
    if isinstance(result, Mapping):
        parts: dict[Any, Any] = {name: split(values, count) for name, values in result.items()}
        if not parts or any(values is None for values in parts.values()):
            return None
        return [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(result, pandas.DataFrame):
        found: Any = result
        rows = found.astype(object).where(found.notna(), None).to_dict("records")
        return rows if len(rows) == count else None
    if pandas is not None and isinstance(result, pandas.Series):
        found = result
        result = [value if present else None for value, present in zip(found.tolist(), found.notna(), strict=True)]
    if (
        isinstance(result, str | bytes | bytearray)
        or not hasattr(result, "__len__")
        or not hasattr(result, "__getitem__")
    ):
        return None
    try:
        return list(result) if len(result) == count else None  # type: ignore[call-overload]
    except TypeError:  # an array of no dimension
        return None


def outputs(value: object, parts: Sequence[Part]) -> dict[str, bytes]:
    """The content of each declared output of one item: of a mapping by name if there are several, else `value` itself.

    Raises:
      TypeError, ValueError: it cannot be that; the message says what it is.
    """
    if len(parts) == 1:
        if isinstance(value, Mapping) and value.keys() == {parts[0].name}:
            value = value[parts[0].name]
        return {parts[0].name: _content(parts[0], value)}
    if not isinstance(value, Mapping):
        names = ", ".join(repr(part.name) for part in parts)
        raise TypeError(f"it is a {type(value).__name__}, expected a mapping of the outputs {names}")
    missing = next((part.name for part in parts if part.name not in value), None)
    if missing is not None:
        raise ValueError(f"it has no output {missing!r}")
    return {part.name: _content(part, value[part.name]) for part in parts}


def _content(part: Part, value: object) -> bytes:
    if part.datatype != BYTES:
        return _elements(part, value)
    if part.media_type == _JSON:
        return encode(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if part.media_type.startswith("image/") and hasattr(value, "save"):
        return _picture(part, value)
    return value.encode() if isinstance(value, str) else encode(value)


def _picture(part: Part, value: Any) -> bytes:
    buffer = io.BytesIO()
    try:
        value.save(buffer, part.media_type.partition("/")[2].partition("+")[0].upper())
    except KeyError:
        raise ValueError(
            f"output {part.name!r} is declared as {part.media_type}, which Pillow does not write: return its bytes"
        ) from None
    except OSError as error:
        raise ValueError(f"output {part.name!r} cannot be {part.media_type}: {error}") from None
    return buffer.getvalue()


def _elements(part: Part, value: Any) -> bytes:
    """The elements of a declared tensor, little-endian and row-major."""
    if hasattr(value, "__array__") and part.datatype in TYPES:
        array = _array(part, value)
        content: bytes = array.tobytes()
        shape = array.shape
    else:
        values, lengths = [value.tolist() if hasattr(value, "tolist") else value], []
        while isinstance(values[0], list | tuple):
            lengths.append(len(values[0]))
            if any(not isinstance(one, list | tuple) or len(one) != lengths[-1] for one in values):
                raise ValueError(f"output {part.name!r} has lists beside each other that differ in length")
            values = list(itertools.chain.from_iterable(values))
            if not values:
                break
        shape = tuple(lengths)
        if part.datatype == "BOOL" and any(one not in (0, 1) for one in values):  # pack takes any for true
            raise ValueError(f"output {part.name!r} is not of BOOL: it holds other than true and false")
        try:
            content = struct.pack(f"<{len(values)}{NUMERIC[part.datatype][0]}", *values)
        except (struct.error, OverflowError) as error:
            raise ValueError(f"output {part.name!r} is not of {part.datatype}: {error}") from None
    if item_shape(part.datatype, part.shape, len(content)) != shape:
        raise ValueError(f"output {part.name!r} has shape {list(shape)}, expected {shown(part.datatype, part.shape)}")
    return content


def _array(part: Part, value: Any) -> Any:
    """`value`, which NumPy knows as an array, in the declared datatype."""
    import numpy as np  # here, since the value is of it

    from chassis.runtime.codecs.arrays import cast  # here, since it imports NumPy

    array = np.asarray(value)
    if array.dtype.kind == "O":
        array = np.array(array.tolist())
    if array.dtype.kind not in "biuf":
        raise TypeError(f"output {part.name!r} is an array of {array.dtype}, and is declared as {part.datatype}")
    try:
        return cast(array, part.datatype)
    except ValueError as error:
        raise ValueError(f"output {part.name!r}{error}") from None

"""Arrays of NumPy, of one declared input or each of several. This module, and NumPy, is imported where it is used."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from chassis.declaration.tensor import BYTES, item_shape, shown
from chassis.runtime.codecs import npy
from chassis.runtime.codecs.input_error import InputError
from chassis.runtime.codecs.rows import from_json
from chassis.runtime.core.contract import Part

_JSON = "application/json"


class ArrayReader:
    """Reads the arrays of one input, each of one item; of an input that is not a tensor, texts."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._type = None if part.datatype == BYTES else np.dtype(npy.TYPES[part.datatype])

    def read(self, content: bytes) -> Any:
        """The array that `content` is: in NPY, as JSON, or its elements as they lie in memory.

        Raises:
          InputError: it is not of the declared datatype and shape.
        """
        if self._type is None:
            return _text(self._part.name, content)
        if content[:6] == npy.MAGIC:
            found = npy.read_header(content)
            return self._cast(
                np.frombuffer(content, npy.TYPES[found.datatype], offset=found.offset).reshape(found.shape)
            )
        # Bytes of one each may be a text of JSON by themselves.
        if self._type.itemsize > 1 or self._part.media_type == _JSON:
            value = _parsed(content)
            if value is not None:
                return self._cast(value)
        shape = item_shape(self._part.datatype, self._part.shape, len(content))
        if shape is None:
            raise InputError(f"input {self._part.name!r} has {len(content)} bytes, which are not {self._shown}")
        if self._part.datatype == "BOOL":
            npy.check_booleans(content)
        return np.frombuffer(content, self._type).reshape(shape).copy()  # writable, as one from JSON is

    def join(self, values: Sequence[Any]) -> Any:
        """The array of several items, the first axis of which counts them."""
        return np.array(values, dtype=object) if self._type is None else np.stack(values)

    @property
    def _shown(self) -> str:
        return shown(self._part.datatype, self._part.shape)

    def _cast(self, found: Any) -> Any:
        declared = self._part.shape
        if len(found.shape) != len(declared) or any(
            length not in (-1, given) for length, given in zip(declared, found.shape, strict=True)
        ):
            raise InputError(f"input {self._part.name!r} has shape {list(found.shape)}, expected {self._shown}")
        if found.dtype == self._type:
            return found if found.flags.writeable else found.copy()  # of NPY it is not, of JSON it is
        try:
            return cast(found, self._part.datatype)
        except ValueError as error:
            raise InputError(f"input {self._part.name!r}{error}") from None


class ArrayCodec:
    """Items of one input, as an array; several as one with an axis more."""

    many = False

    def __init__(self, part: Part) -> None:
        self._name = part.name
        self._reader = ArrayReader(part)
        self._varies = -1 in part.shape

    def read(self, item: Mapping[str, bytes]) -> Any:
        return self._reader.read(item[self._name])

    def key(self, value: Any) -> Hashable:
        return value.shape if self._varies else None

    def join(self, values: Sequence[Any]) -> Any:
        return self._reader.join(values)


class ArraysCodec:
    """Items of several inputs, as a dict of arrays; several as arrays with an axis more."""

    many = False

    def __init__(self, parts: Sequence[Part]) -> None:
        self._readers = {part.name: ArrayReader(part) for part in parts}

    def read(self, item: Mapping[str, bytes]) -> dict[str, Any]:
        missing = [name for name in self._readers if name not in item]
        if missing:
            raise InputError(f"there is no input {missing[0]!r}, the model takes {', '.join(self._readers)}")
        return {name: reader.read(item[name]) for name, reader in self._readers.items()}

    def key(self, value: dict[str, Any]) -> Hashable:
        return tuple(getattr(array, "shape", ()) for array in value.values())

    def join(self, values: Sequence[dict[str, Any]]) -> Any:
        return {name: reader.join([value[name] for value in values]) for name, reader in self._readers.items()}


def cast(found: Any, datatype: str) -> Any:
    """An array of numbers or booleans as one of `datatype`, if no value changes but by rounding to a float.

    Raises:
      ValueError: one would; the message is its place, and that it is not of the datatype.
    """
    wanted = np.dtype(npy.TYPES[datatype])
    with np.errstate(all="ignore"):
        made = found.astype(wanted)
    if wanted.kind == "f":
        lossy = np.isfinite(found) & ~np.isfinite(made)
    else:
        lossy = made != found
        if found.dtype.kind == "f" and wanted.kind in "iu":
            # Some CPUs give the largest integer for 2**63, which is equal to it as a float.
            lossy |= found >= 2.0 ** (wanted.itemsize * 8 - (wanted.kind == "i"))
    if np.any(lossy):
        place = tuple(int(axis) for axis in np.argwhere(lossy)[0])
        shown_place = "".join(f"[{axis}]" for axis in place)
        raise ValueError(f"{shown_place}: {found[place]} is not of {datatype}")
    return made


def _parsed(content: bytes) -> Any:
    """The array that `content` is as JSON; None if it is not JSON, and so elements as they are."""
    try:
        value = from_json(content)
    except InputError:
        return None
    if not isinstance(value, list | int | float | bool):
        return None
    try:
        found = np.array(value)
    except (ValueError, OverflowError):
        raise InputError("lists beside each other in the input differ in length") from None
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise InputError("the input holds a number that is not finite")
    if found.dtype.kind not in "biuf":
        if math.prod(found.shape) == 0:
            return found.astype(float)
        raise InputError(f"the input holds {json.dumps(value)[:40]}, expected numbers in lists")
    return found


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"input {name!r} is not UTF-8: byte {error.start}") from None

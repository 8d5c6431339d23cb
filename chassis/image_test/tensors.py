"""Tensors of a model as numbers of case files: what it declares, and bytes there and back."""

from __future__ import annotations

import itertools
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chassis.declaration.model_io import ModelInput, ModelOutput
from chassis.declaration.model_json import read_served
from chassis.declaration.tensor import BYTES, NUMERIC, item_shape
from chassis.errors import ChassisError
from chassis.image_test.case_file import Case, JsonContent

_MODEL = "app/model/model.json"


class TensorError(ChassisError):
    """Numbers of a case that are not the tensor that the model declares, or bytes of an answer that are none."""


@dataclass(frozen=True, slots=True)
class Declared:
    """The inputs and outputs that a model declares as tensors, by name."""

    inputs: Mapping[str, ModelInput] = field(default_factory=dict)
    outputs: Mapping[str, ModelOutput] = field(default_factory=dict)


def declared_in(root: Path) -> Declared:
    """What the model of an unpacked image declares; nothing if the image is not one of Chassis."""
    return read_declared(root / _MODEL)


def read_declared(path: Path) -> Declared:
    """What a model.json declares; nothing if the file is not one."""
    try:
        served = read_served(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError):
        return Declared()
    return Declared(
        {part.name: part for part in served["inputs"] if part.datatype != BYTES},
        {part.name: part for part in served["outputs"] if part.datatype != BYTES},
    )


def with_tensors(case: Case, inputs: Mapping[str, ModelInput]) -> Case:
    """A case whose numbers for an input that is a tensor are its bytes.

    Raises:
      TensorError: they do not fit what the model declares.
    """
    items = []
    for item in case.inputs:
        packed = dict(item)
        for name, content in item.items():
            if name in inputs and isinstance(content, JsonContent):
                packed[name] = _packed(f"case {case.name}, input {name!r}", content.value, inputs[name])
        items.append(packed)
    return replace(case, inputs=tuple(items))


def numbers(content: bytes, part: ModelOutput) -> Any:
    """The tensor as numbers, in lists nested as its shape says.

    Raises:
      TensorError: its bytes have not the shape.
    """
    shape = item_shape(part.datatype, part.shape, len(content))
    if shape is None:
        raise TensorError(f"{len(content)} bytes, which are not {part.tensor}")
    values: list[Any] = list(_unpacked(part.datatype, content))
    for axis in range(len(shape) - 1, 0, -1):
        length = shape[axis]
        values = [values[index * length : (index + 1) * length] for index in range(math.prod(shape[:axis]))]
    return values if shape else values[0]


def _packed(where: str, value: Any, part: ModelInput) -> bytes:
    values = [value]
    for length in part.shape:
        found = {len(one) if isinstance(one, list) else -1 for one in values}
        if len(found) != 1 or -1 in found or length not in (-1, *found):
            raise TensorError(f"{where}: expected {part.tensor}, numbers in lists of shape {list(part.shape)}")
        values = list(itertools.chain.from_iterable(values))
    try:
        return _pack(part.datatype, values)
    except (struct.error, OverflowError, TypeError) as error:
        raise TensorError(f"{where}: expected {part.tensor}: {error}") from None


def _pack(datatype: str, values: Sequence[Any]) -> bytes:
    form = NUMERIC[datatype][0]
    if datatype == "BOOL" and not all(isinstance(value, bool) for value in values):
        raise TypeError("expected true and false")
    if form:
        return struct.pack(f"<{len(values)}{form}", *values)
    words = struct.unpack(f"<{len(values)}I", struct.pack(f"<{len(values)}f", *values))
    return struct.pack(f"<{len(values)}H", *((word + 0x7FFF + ((word >> 16) & 1)) >> 16 for word in words))


def _unpacked(datatype: str, content: bytes) -> tuple[Any, ...]:
    form, size = NUMERIC[datatype]
    count = len(content) // size
    if form:
        return struct.unpack(f"<{count}{form}", content)
    halves = struct.unpack(f"<{count}H", content)
    return struct.unpack(f"<{count}f", struct.pack(f"<{count}I", *(half << 16 for half in halves)))

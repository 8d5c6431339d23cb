"""Tensors by their names in the Open Inference Protocol: datatypes, shapes, and how elements lie in bytes.

https://github.com/kserve/open-inference-protocol: "Tensor Data Types". Elements are little-endian and row-major.
"""

from __future__ import annotations

import re

from chassis.declaration.kinds import Kind, MetadataError

BYTES = "BYTES"

# Datatype to the format of one element (module struct, which lacks BF16: the upper half of FP32) and its bytes.
NUMERIC = {
    "BOOL": ("?", 1),
    "UINT8": ("B", 1),
    "UINT16": ("H", 2),
    "UINT32": ("I", 4),
    "UINT64": ("Q", 8),
    "INT8": ("b", 1),
    "INT16": ("h", 2),
    "INT32": ("i", 4),
    "INT64": ("q", 8),
    "BF16": ("", 2),
    "FP16": ("e", 2),
    "FP32": ("f", 4),
    "FP64": ("d", 8),
}
FLOATS = ("BF16", "FP16", "FP32", "FP64")


def item_shape(datatype: str, shape: tuple[int, ...], size: int) -> tuple[int, ...] | None:
    """The shape of a numeric tensor of `size` bytes, declared as `shape` with at most one -1; None if none fits."""
    fixed = NUMERIC[datatype][1]
    for length in shape:
        if length != -1:
            fixed *= length
    if size % fixed or (-1 not in shape and size != fixed):
        return None
    return tuple(size // fixed if length == -1 else length for length in shape)


def shown(datatype: str, shape: tuple[int, ...]) -> str:
    """`FP32[3,224]`, as a model declares it."""
    return f"{datatype}[{','.join(map(str, shape))}]"


def parse_tensor(text: str, place: str = "tensor") -> tuple[str, tuple[int, ...]]:
    """Returns datatype and shape for `FP32[3,-1]`, `INT64[]` or `INT64`; `BYTES` without a shape for an empty text.

    Raises:
      MetadataError: it is not one of these; the message begins with `place`.
    """
    match = re.fullmatch(r"([A-Z]+[0-9]*)(?:\[([-0-9, ]*)\])?", text.strip() or BYTES)
    lengths = [part.strip() for part in match[2].split(",")] if match and match[2] else []
    if (
        not match
        or (match[1] not in NUMERIC and text.strip() not in ("", BYTES))
        or not all(re.fullmatch(r"-1|[1-9][0-9]{0,8}", length) for length in lengths)
        or lengths.count("-1") > 1
    ):
        raise MetadataError(
            f"{place}: {text!r} is not a tensor, expected a datatype ({', '.join(NUMERIC)}) with the shape of one "
            "item, such as FP32[3,224] or FP32[3,-1], where at most one size varies"
        )
    return match[1], tuple(map(int, lengths))


class Tensor(Kind):
    """A datatype with the shape of one item; empty for bytes as they are."""

    name = "a tensor such as FP32[3,224]"

    def accept(self, place: str, value: object) -> object:
        if not isinstance(value, str):
            raise self.wrong_type(place, value)
        if value:
            parse_tensor(value, place)
        return value

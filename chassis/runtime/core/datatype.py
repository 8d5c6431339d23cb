"""The datatypes of tensors, by their names in the Open Inference Protocol, and how their elements lie in bytes.

https://github.com/kserve/open-inference-protocol: "Tensor Data Types". Elements are little-endian and row-major.
"""

from __future__ import annotations

BYTES = "BYTES"

# Datatype to the format of one element (module struct, which has none for BF16: the upper half of FP32) and its bytes.
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
    """The shape of a numeric tensor of `size` bytes, declared as `shape` with at most one -1; None if it is none."""
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

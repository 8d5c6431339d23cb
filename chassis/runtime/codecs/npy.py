"""NPY, NumPy's own format for one array: how a tensor travels to a typed function. NumPy is not imported here.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Its first byte begins no text of UTF-8, and
so no JSON, whatever else an item may be.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

from chassis.runtime.codecs.input_error import InputError

MAGIC = b"\x93NUMPY"

TYPES = {
    "BOOL": "|b1",
    "UINT8": "|u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "|i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""Datatypes of the Open Inference Protocol as NumPy writes them; it has no BF16."""

_DATATYPES = {name: datatype for datatype, name in TYPES.items()}
_MAX_HEADER = 4096
_MAX_LENGTH = 1 << 40
_MAX_DIMENSIONS = 32
"""NumPy 1 takes no more."""
_ALIGNED = 64


class Header(NamedTuple):
    """What an array is, and where its elements begin."""

    datatype: str
    shape: tuple[int, ...]
    offset: int


@functools.lru_cache(256)  # bounded, since callers choose the shapes
def header(datatype: str, shape: tuple[int, ...]) -> bytes:
    """What comes before the elements of an array, row-major."""
    described = {"descr": TYPES[datatype], "fortran_order": False, "shape": shape}
    text = repr(described).encode()
    size = len(MAGIC) + 4 + len(text) + 1
    text += b" " * (-size % _ALIGNED) + b"\n"
    return MAGIC + b"\x01\x00" + len(text).to_bytes(2, "little") + text


def read_header(content: bytes) -> Header:
    """The header of an array.

    Raises:
      InputError: it is not one, or of a kind that is not taken: another order of bytes or of axes, or objects.
    """
    size = 2 if content[6:7] == b"\x01" else 4
    end = 8 + size + int.from_bytes(content[8 : 8 + size], "little")
    if end > min(len(content), _MAX_HEADER):
        raise InputError("the array of NumPy ends within its header")
    found = _parsed(bytes(content[8 + size : end]))
    size = len(content) - end
    if size != math.prod(found.shape) * int(TYPES[found.datatype][2:]):
        raise InputError(f"the array of NumPy has {size} bytes, which are not {found.datatype}{list(found.shape)}")
    if found.datatype == "BOOL":
        check_booleans(content[end:])
    return found._replace(offset=end)


def check_booleans(elements: bytes) -> None:
    """Refuses bytes that are not booleans: NumPy takes any, and then counts some that are true as more than one.

    Raises:
      InputError: a byte is neither 0 nor 1.
    """
    if bytes(elements).translate(None, b"\0\1"):
        place, found = next((place, found) for place, found in enumerate(elements) if found > 1)
        raise InputError(f"byte {place} of the booleans is {found}, expected 0 or 1")


@functools.lru_cache(256)
def _parsed(text: bytes) -> Header:
    import ast  # here, since the server's own process needs none

    try:
        described = ast.literal_eval(text.decode("latin-1").strip())
        datatype, shape = _DATATYPES[described["descr"]], tuple(described["shape"])
        lengths = all(type(length) is int and 0 <= length < _MAX_LENGTH for length in shape)
        if described["fortran_order"] or not lengths or math.prod(max(1, length) for length in shape) >= _MAX_LENGTH:
            raise ValueError
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError):
        raise InputError(
            "the array of NumPy is not little-endian numbers or booleans in row-major order (numpy.ascontiguousarray)"
        ) from None
    if len(shape) > _MAX_DIMENSIONS:
        raise InputError(f"the array of NumPy has {len(shape)} dimensions, expected {_MAX_DIMENSIONS} at most")
    return Header(datatype, shape, 0)

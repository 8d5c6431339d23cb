"""Rows of declared columns: from JSON, or from an array of numbers, to checked values."""

from __future__ import annotations

import datetime
import json
import math
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

from chassis.declaration.columns import INTEGERS, TEXT, TIMESTAMP, Column
from chassis.declaration.tensor import NUMERIC
from chassis.runtime.codecs import npy
from chassis.runtime.codecs.input_error import InputError, shown

_MAX_FP32 = (2 - 2**-23) * 2.0**127
_EXACT = 1 << 53
"""Integers up to here are floats, too: those of a column with missing values are."""

_ISO_8601 = re.compile(
    r"(?P<year>\d{4})(?P<dash>-?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)"
    r"(?:[Tt ](?P<hour>\d\d)(?:(?P<colon>:?)(?P<minute>\d\d)(?:(?P=colon)(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?)?"
    r"(?:Z|(?P<sign>[+-])(?P<hours>[01]\d|2[0-3])(?::?(?P<minutes>[0-5]\d))?)?)?",
    re.ASCII,
)
"""Days of the calendar, perhaps with a time. What `fromisoformat` takes differs by Python's version."""

Read = Callable[[Any], object]


class RowReader:
    """Reads the rows of one model."""

    def __init__(self, columns: Sequence[Column], left_out: frozenset[str] = frozenset()) -> None:
        """Takes the columns in their order, and the names of those that a row may leave out, and not give as null."""
        self.names = [column.name for column in columns]
        self._known = frozenset(self.names)
        self._readers = [(column.name, column.optional, reader(column)) for column in columns]
        self._left_out = left_out

    def read(self, content: bytes) -> dict[str, object]:
        """The values of a row by column; None for one that is missing.

        Raises:
          InputError: it is not a row of these columns; the message names the column.
        """
        row = _numbers(content) if content[:6] == npy.MAGIC else from_json(content)
        if isinstance(row, list):
            if len(row) != len(self.names):
                raise InputError(
                    f"the row has {len(row)} values for {len(self.names)} columns: {', '.join(self.names)}"
                )
            row = dict(zip(self.names, row, strict=True))
        if not isinstance(row, dict):
            raise InputError(f"{shown(row)} is not a row: an object of columns, or a list of values in their order")
        if not row.keys() <= self._known:
            other = min(row.keys() - self._known)
            raise InputError(f"there is no column {shown(other)}, the model has {', '.join(self.names)}")
        found: dict[str, object] = {}
        for name, optional, read in self._readers:
            value = row.get(name)
            if value is not None and value == value:
                try:
                    found[name] = read(value)
                except (ValueError, OverflowError, TypeError) as error:
                    raise InputError(f"column {name!r}: {shown(value)} is not {error}") from None
            elif optional:
                found[name] = None
            elif name in row or name not in self._left_out:
                raise InputError(f"column {name!r} " + ("may not be null" if name in row else "is missing"))
        return found


def from_json(content: bytes) -> object:
    """The JSON value that `content` is.

    Raises:
      InputError: it is not JSON.
    """
    try:
        text = content.decode(json.detect_encoding(content))
        value: object = json.loads(text, parse_constant=_refuse)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()  # an escape may be half of a character
        return value
    except UnicodeEncodeError:
        raise InputError("the input's JSON holds half of a surrogate pair, which is not text") from None
    except UnicodeDecodeError as error:
        raise InputError(f"the input is not JSON: byte {error.start} is not UTF-8") from None
    except ValueError as error:
        raise InputError(f"the input is not JSON: {error}") from None
    except RecursionError:
        raise InputError("the input's JSON is nested too deeply") from None


def _refuse(constant: str) -> object:
    raise ValueError(f"it has no {constant}; a missing value is null")


def _numbers(content: bytes) -> object:
    found = npy.read_header(content)
    form, size = NUMERIC[found.datatype]
    values = list(struct.unpack_from(f"<{(len(content) - found.offset) // size}{form}", content, found.offset))
    return values if len(found.shape) == 1 else f"an array of shape {list(found.shape)}"


def reader(column: Column) -> Read:
    """What checks a value of `column` that is there; it raises ValueError with what the column takes."""
    kind = column.datatype
    if kind == TEXT:
        return _text
    if kind == TIMESTAMP:
        return _timestamp
    if kind == "BOOL":
        return _boolean
    if kind in INTEGERS:
        bits = NUMERIC[kind][1] * 8
        least, most = (0, (1 << bits) - 1) if kind[0] == "U" else (-(1 << bits - 1), (1 << bits - 1) - 1)
        return (
            _integer(kind, max(least, -_EXACT), min(most, _EXACT)) if column.optional else _integer(kind, least, most)
        )
    return _float32 if kind == "FP32" else _float


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("text")
    return value


def _boolean(value: object) -> object:
    if value not in (0, 1):
        raise ValueError("true or false")
    return bool(value)


def _integer(kind: str, least: int, most: int) -> Read:
    def read(value: Any) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0:
            raise ValueError(f"an integer ({kind})")
        if not least <= value <= most:
            raise ValueError(
                f"in the range of {kind} with missing values" if most == _EXACT else f"in the range of {kind}"
            )
        return int(value)

    return read


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise ValueError("a finite number")
    return number


def _float32(value: Any) -> object:
    number = _float(value)
    if abs(number) > _MAX_FP32:
        raise ValueError("in the range of FP32")
    return number


def _timestamp(value: object) -> object:
    """Without a zone, in UTC if it had one."""
    if not isinstance(value, str):
        raise ValueError("a time as ISO 8601 writes it")
    match = _ISO_8601.fullmatch(value)
    try:
        if match is None:
            raise ValueError
        part = match.groupdict("")
        names = ("year", "month", "day", "hour", "minute", "second")
        year, month, day, hour, minute, second = (int(part[name] or 0) for name in names)
        found = datetime.datetime(year, month, day, hour, minute, second, int(part["fraction"][:6].ljust(6, "0")))
        ahead = datetime.timedelta(hours=int(part["hours"] or 0), minutes=int(part["minutes"] or 0))
        return found + ahead if part["sign"] == "-" else found - ahead
    except (ValueError, OverflowError):
        raise ValueError("a time as ISO 8601 writes it, such as 2024-05-01T12:00:00Z") from None

"""Columns of a table as a model declares them: name, type, and whether a value may be missing."""

from __future__ import annotations

import re
from typing import Any

from chassis.declaration.declared import Declared, field
from chassis.declaration.kinds import Kind, MetadataError, Name
from chassis.declaration.tensor import BYTES, FLOATS, NUMERIC

TEXT, TIMESTAMP = "TEXT", "TIMESTAMP"
INTEGERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
COLUMN_TYPES = ("BOOL", *INTEGERS, "FP32", "FP64", TEXT, TIMESTAMP)
"""Types of the Open Inference Protocol, text, and points in time as ISO 8601 writes them."""

_NULLABLE = "?"


class _ColumnType(Kind):
    """One of `COLUMN_TYPES`, with `?` behind it if a value may be missing."""

    name = f"one of {', '.join(COLUMN_TYPES)}, with ? behind it if a value may be missing, such as FP64?"

    def accept(self, place: str, value: object) -> object:
        if not isinstance(value, str):
            raise self.wrong_type(place, value)
        if value.removesuffix(_NULLABLE) not in COLUMN_TYPES:
            raise MetadataError(f"{place}: {value!r} is not {self.name}")
        return value


class Column(Declared):
    """One column.

    Attributes:
      optional: whether a value may be missing.
      datatype: one of `COLUMN_TYPES`.
    """

    name: str = field(Name(), doc="the key of a row.")
    type: str = field(_ColumnType(), doc="such as `FP64`, or `FP64?` if a value may be missing.")

    @property
    def optional(self) -> bool:
        return self.type.endswith(_NULLABLE)

    @property
    def datatype(self) -> str:
        return self.type.removesuffix(_NULLABLE)

    @property
    def tensor_type(self) -> str:
        """Its datatype in the Open Inference Protocol."""
        return self.datatype if self.datatype in NUMERIC else BYTES

    @property
    def example(self) -> object:
        """A value that it may have, as JSON has it."""
        if self.datatype == TIMESTAMP:
            return "2024-05-01T12:00:00Z"
        if self.datatype not in NUMERIC:
            return "text"
        return True if self.datatype == "BOOL" else 1.5 if self.datatype in FLOATS else 1


def _is_pair(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


class Columns(Kind):
    """Columns in their order; there may be none. JSON has pairs of name and type: some writers sort keys."""

    name = "a mapping from the name of a column to its type, or a list of both"
    left_out: object = ()

    def accept(self, place: str, value: object) -> object:
        if isinstance(value, dict):
            value = list(value.items())
        if isinstance(value, list | tuple):
            value = [self._named(place, *one) if _is_pair(one) else one for one in value]
        if not isinstance(value, list | tuple) or not all(isinstance(one, Column) for one in value):
            raise self.wrong_type(place, value)
        names = [one.name for one in value]
        if len(set(names)) < len(names):
            raise MetadataError(f"{place}: {next(name for name in names if names.count(name) > 1)!r} is declared twice")
        return tuple(value)

    def _named(self, place: str, name: Any, kind: Any) -> Column:
        try:
            return Column(name, kind)
        except MetadataError as error:
            raise MetadataError(f"{place}: {name!r}: {re.sub('^type: ', '', str(error))}") from None

    def document(self, value: object) -> object:
        assert isinstance(value, tuple)
        return [[one.name, one.type] for one in value]

    served = document

    def read(self, value: object) -> object:
        return self.accept("columns", value)

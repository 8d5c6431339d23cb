"""Tables of pandas, a row for each item. pandas is imported here, and this module where it is used.

A column has the type that `pandas.read_csv` gives it, whatever its values are: with missing values integers are floats
and booleans objects; what is missing is NaN, or NaT.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from chassis.declaration.columns import INTEGERS, TEXT, TIMESTAMP, Column
from chassis.runtime.codecs import npy
from chassis.runtime.codecs.rows import RowReader

_TEXT: Any = "str" if int(pd.__version__.partition(".")[0]) >= 3 else object


class TableCodec:
    """Items as rows of a data frame."""

    many = True

    def __init__(self, name: str, columns: Sequence[Column]) -> None:
        """Takes the name of the input, and the columns of its rows."""
        self._name = name
        self._rows = RowReader(columns)
        self._types = {column.name: _dtype(column) for column in columns}

    def read(self, item: Mapping[str, bytes]) -> dict[str, object]:
        return self._rows.read(item[self._name])

    def key(self, value: object) -> Hashable:
        return None

    def join(self, values: Sequence[dict[str, object]]) -> Any:
        found = {
            name: pd.Series([_present(row[name]) for row in values], dtype=kind) for name, kind in self._types.items()
        }
        return pd.DataFrame(found, copy=False)


def _present(value: object) -> object:
    return np.nan if value is None else value


def _dtype(column: Column) -> Any:
    kind = column.datatype
    if kind == TEXT:
        return _TEXT
    if kind == TIMESTAMP:
        return "datetime64[us]"
    if column.optional and (kind in INTEGERS or kind == "BOOL"):
        return "float64" if kind in INTEGERS else object
    return np.dtype(npy.TYPES[kind])

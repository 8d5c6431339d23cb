"""A predict function of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def nearest(rows: Sequence[Mapping[str, object]]) -> list[int]:
    """The number 0 for each row."""
    return [0 for _ in rows]

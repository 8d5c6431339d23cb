"""Long vectors of answers, such as embeddings: what a case file keeps of one in place of its numbers.

`{"$vector": {"shape": [768], "norm": 1.0, "digest": [0.21, …]}}`. A digest of bytes would differ between CPUs in the
last bit of one number. This one is four sums of all numbers, each with a sign that depends on its place: numbers that
are near have digests that are near, and others do not.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

KEY = "$vector"
MIN_SUMMARISED = 65
"""A vector of fewer numbers is written out."""

_SUMS = 4


def summary(value: Any) -> dict[str, Any] | None:
    """The summary of a list of numbers, or of lists of them that are equally long; None of anything else."""
    shape = _shape(value)
    if not shape:
        return None
    numbers = flat(value)
    norm = math.sqrt(sum(number * number for number in numbers))
    return {KEY: {"shape": shape, "norm": norm, "digest": _digest(numbers)}}


def is_summary(value: Any) -> bool:
    """Whether it is `{"$vector": {"shape": …, "norm": …, "digest": …}}`."""
    return (
        isinstance(value, dict)
        and value.keys() == {KEY}
        and isinstance(value[KEY], dict)
        and value[KEY].keys() == {"shape", "norm", "digest"}
    )


def flat(value: Any) -> list[float]:
    """All numbers of a nested list."""
    return [number for one in value for number in flat(one)] if isinstance(value, list) else [value]


def vector_differences(expected: Any, found: Any, tolerance: float, path: str) -> list[str]:
    """How `found` differs from the vector that `expected` is the summary of.

    Sums of many numbers may differ by more than one of them: by the tolerance times the root of how many there are.
    """
    seen = summary(found)
    if seen is None:
        return [f"{path}: not a vector, expected one of shape {expected[KEY]['shape']}"]
    wanted, has = expected[KEY], seen[KEY]
    if wanted["shape"] != has["shape"]:
        return [f"{path}: a vector of shape {has['shape']}, expected {wanted['shape']}"]
    most = tolerance * max(1.0, abs(wanted["norm"])) * math.sqrt(math.prod(has["shape"]))
    lines = []
    for name, one, other in [
        ("norm", wanted["norm"], has["norm"]),
        *((f"digest[{index}]", *pair) for index, pair in enumerate(zip(wanted["digest"], has["digest"], strict=True))),
    ]:
        if not abs(one - other) <= most:
            lines.append(f"{path}: a vector with {name} {other:g}, expected {one:g} (tolerance {most:g})")
    return lines


def _shape(value: Any) -> list[int]:
    """The lengths of nested lists of numbers; empty if they differ, or if it is something else."""
    if not isinstance(value, list) or not value:
        return []
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in value):
        return [len(value)]
    inner = _shape(value[0])
    return [len(value), *inner] if inner and all(_shape(one) == inner for one in value) else []


def _digest(numbers: Sequence[float]) -> list[float]:
    sums = [0.0] * _SUMS
    for start in range(0, len(numbers), 64):
        signs = hashlib.sha256(str(start).encode()).digest()
        for index, number in enumerate(numbers[start : start + 64]):
            nibble = signs[index // 2] >> (4 * (index % 2))
            for place in range(_SUMS):
                sums[place] += number if nibble >> place & 1 else -number
    return sums

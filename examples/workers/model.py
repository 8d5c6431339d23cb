"""Counts the steps that a number takes to 1: halved if it is even, tripled and one more if it is odd."""

from __future__ import annotations


def steps(data: bytes) -> dict[str, int]:
    """Python alone, so that one process does one call at a time, however many cores there are."""
    number, count = int(data), 0
    if number < 1:
        raise ValueError(f"{number} is below 1")
    while number != 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        count += 1
    return {"steps": count}

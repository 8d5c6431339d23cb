"""What a model says to one item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Item = Mapping[str, bytes]
"""One input of a model: input name to content."""

_LONGEST_ERROR = 2000


@dataclass(frozen=True, slots=True)
class Answer:
    """The outputs of one item, or why there are none: exactly one of the two is set."""

    output: Mapping[str, bytes] | None
    error: str | None = None


def failed(reason: str) -> Answer:
    """The answer to an item that failed; `reason` is cut at 2000 characters."""
    return Answer(None, reason if len(reason) <= _LONGEST_ERROR else reason[:_LONGEST_ERROR] + "…")


def describe_exception(error: BaseException) -> str:
    """`ValueError: message`, without a stack trace: what a caller may see."""
    message = str(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__

"""What a model says to one item."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass

Item = Mapping[str, bytes]
"""One input of a model: input name to content."""

_LONGEST_ERROR = 2000
_MOST_FRAMES = 6


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


def frames(error: BaseException) -> str:
    """Where `error` was raised, outermost first: `model/model.py:63 batch_process, model/model.py:86 parse`.

    The frames of the server itself are left out.
    """
    own = __name__.rpartition(".")[0].replace(".", "/")
    found = [frame for frame in traceback.extract_tb(error.__traceback__) if own not in frame.filename]
    return ", ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in found[-_MOST_FRAMES:])

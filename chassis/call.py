"""One call as a predict function sees it: what it may be told of a request, and say beside its result."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_NOTHING: Mapping[str, object] = MappingProxyType({})


class Request(NamedTuple):
    """What a function that takes `request` is told of the request that its input came with.

    A batch function takes `requests`, a list with one for each input.

    Attributes:
      id: the caller's own, or one that the server made up; the log has the same.
      parameters: what the caller asked for beside its inputs: `parameters` of the Open Inference Protocol, and of
        KServe's v1.
      headers: those that `request_headers` of the chassis_model names, in lower case, as far as they were sent; over
        gRPC its metadata.
      deadline: when the answer is of no use any more, by `time.monotonic()`: the caller's own deadline (gRPC has one),
        or the end of `run_timeout`, whichever comes first. A stream has its caller's alone; None if there is none.
    """

    id: str = ""
    parameters: Mapping[str, object] = _NOTHING
    headers: Mapping[str, str] = _NOTHING  # type: ignore[assignment]
    deadline: float | None = None

    def remaining(self) -> float:
        """Seconds until the deadline, at least 0; infinity if there is none."""
        return math.inf if self.deadline is None else max(0.0, self.deadline - time.monotonic())


class Result:
    """What a function returns, or yields, that gives parameters beside its result.

    Callers of the Open Inference Protocol get them as `parameters` of the answer. Of several items in one answer, the
    latest that gives one counts.

    Attributes:
      value: what the function would return otherwise.
      parameters: name to a text, a number or a boolean.
    """

    __slots__ = ("parameters", "value")

    def __init__(self, value: object, parameters: Mapping[str, object]) -> None:
        """Takes both; scalars of NumPy and the like count as what they hold.

        Raises:
          TypeError: a parameter is something else.
          ValueError: a number that the protocol cannot express: not finite, or outside of 64 bits.
        """
        self.value = value
        self.parameters: Mapping[str, object] = MappingProxyType(
            {_name(name): _scalar(name, given) for name, given in parameters.items()}
        )


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"Result: a parameter is named {name!r}, expected a text")
    return str(name)


def _scalar(name: str, value: object) -> object:
    item = getattr(value, "item", None)
    if item is not None and not isinstance(value, str | int | float):
        with contextlib.suppress(TypeError, ValueError):  # several numbers are not one
            value = item()
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            value = kind(value)
            break
    else:
        raise TypeError(
            f"Result: parameter {name!r} is a {type(value).__name__}, expected a text, a number or a boolean"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"Result: parameter {name!r} is {value}, expected a finite number")
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        raise ValueError(f"Result: parameter {name!r} is {value}, expected an integer of 64 bits")
    return value

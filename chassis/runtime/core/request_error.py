"""A request that is answered with an error, whatever the protocol."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chassis.runtime.core.answer import Answer, ErrorKind

RETRY_AFTER = 1
"""Seconds after which a refused caller may try again."""

_ITEM_STATUS = {
    ErrorKind.INPUT: 400,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.MODEL: 422,
    ErrorKind.CONTRACT: 500,
    ErrorKind.TIMEOUT: 504,
    ErrorKind.NOT_LOADED: 503,
    ErrorKind.STOPPED: 503,
    ErrorKind.LOST: 500,
}


class RequestError(Exception):
    """An error that a caller may see.

    Attributes:
      status: the status code of HTTP (RFC 9110, 15) that fits; front ends of other protocols translate it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class BusyError(RequestError):
    """A request that came while too many waited; the same may be answered later."""

    def __init__(self, message: str) -> None:
        super().__init__(503, message)


def raise_for_failed(answers: Sequence[Answer]) -> None:
    """Raises the first failed item's error, in protocols that answer all items of a request or none.

    If there are several items its message begins with which one it is, from 0.

    Raises:
      RequestError: an item failed.
    """
    for index, answer in enumerate(answers):
        if answer.output is None:
            where = f"item {index}: " if len(answers) > 1 else ""
            raise RequestError(_ITEM_STATUS[answer.kind or ErrorKind.MODEL], f"{where}{answer.error}")


def quoted(names: Iterable[str]) -> str:
    """`'a', 'b'`, for messages."""
    return ", ".join(repr(name) for name in names) or "none"

"""JSON that callers send: how much memory it takes to read it, and where it is not JSON."""

from __future__ import annotations

import json
import re
import sys

from chassis.runtime.core.budget import Budget
from chassis.runtime.core.request_error import RequestError

_SMALL = 1 << 16
"""Bytes whose reading needs too little memory to look at it."""

# What Python's objects take, the most that was seen with all that allocators round up.
_EACH_OBJECT = 300
_EACH_LIST = 120
_EACH_VALUE = 130


class _ConstantError(ValueError):
    """NaN or an infinity, which RFC 8259 leaves out."""


def _refuse(constant: str) -> object:
    raise _ConstantError(constant)


_DECODER = json.JSONDecoder(parse_constant=_refuse)
_SPACE = " \t\r\n"


def memory_needed(content: bytes | bytearray) -> int:
    """About as many bytes as reading `content` takes at most, for a moment, itself among them.

    It is there until it is text, and the text until it is values.
    """
    if content.isascii():
        # Whatever escapes stand for may be of four bytes, and with it the string that they are in.
        text, values = 1, 5 if b"\\u" in content else 1
    else:
        text, values = 4, 5
    objects = content.count(b"{") * _EACH_OBJECT + content.count(b"[") * _EACH_LIST
    return len(content) * (text + values) + objects + (content.count(b",") + content.count(b":")) * _EACH_VALUE


def read_object(content: bytes | bytearray, budget: Budget, held: int = 0) -> dict[str, object]:
    """The JSON object in `content`, UTF-8, whose memory is free when the caller has dropped it too.

    `held` bytes of `budget` are the request's already.

    Raises:
      RequestError: it is not JSON, or not an object, or takes more memory to read than `budget` leaves.
    """
    if len(content) > _SMALL:
        budget.require(memory_needed(content), "the request's JSON", held)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise RequestError(400, f"the request's body is not UTF-8: byte {error.start}") from None
    del content
    constant = ""
    try:
        value = _decoded(text)
    except json.JSONDecodeError as error:
        raise RequestError(400, f"the request's body is not JSON: {error}") from None
    except _ConstantError as error:
        constant = str(error)
    except ValueError:  # Python reads no integer of thousands of digits
        where = _place_of_integer(text, sys.get_int_max_str_digits() + 1)
        raise RequestError(400, f"the request's body has a number of too many digits at {where}") from None
    except RecursionError:
        raise RequestError(400, "the request's body is nested too deeply") from None
    if constant:
        # The error is gone, which held the text: one with marks takes its place, since there is memory for one.
        text = text.replace(constant, f"?{constant[1:]}")
        raise RequestError(400, f"the request's body is not JSON: {constant} at {_place_of_fault(text)}")
    if not isinstance(value, dict):
        raise RequestError(400, "the request's body is not a JSON object")
    return value


def _decoded(text: str) -> object:
    """As `JSONDecoder.decode`, which looks for white space with regular expressions first."""
    try:
        value, end = _DECODER.scan_once(text, 0)  # type: ignore[attr-defined]
    except StopIteration:
        return _DECODER.decode(text)
    return value if end == len(text) or not text[end:].strip(_SPACE) else _DECODER.decode(text)


def _place_of_fault(text: str) -> str:
    """Where a text stops being JSON. A mark inside of a string is allowed."""
    try:
        _DECODER.decode(text)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}"
    raise AssertionError("the text is JSON")


def _place_of_integer(text: str, digits: int) -> str:
    """Where the first integer of at least so many digits is, in a text that was JSON until there."""
    # It stands where a value begins, so it is not a part of another number or of an escape, and nothing follows it that
    # would make it a float.
    wanted = re.compile(rf"(?<![^ \t\r\n,:\[])-?[1-9][0-9]{{{digits - 1},}}(?![0-9]|\.[0-9]|[eE][+-]?[0-9])")
    text = text.replace(r"\\", "__")  # so that a backslash before a quotation mark belongs to it
    at = quotes = 0
    for match in wanted.finditer(text):
        before, at = at, match.start()
        quotes += text.count('"', before, at) - text.count(r"\"", before, at)
        if quotes % 2 == 0:  # no string is open
            break
    return f"line {text.count(chr(10), 0, at) + 1}, column {at - text.rfind(chr(10), 0, at)}"

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

_STRING = r'"(?:[^"\\]|\\.)*"'
_CONSTANT = r"NaN|-?Infinity"


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
    try:
        value = _decoded(text)
    except _ConstantError as error:
        raise RequestError(400, f"the request's body is not JSON: {error} at {_place(text, _CONSTANT)}") from None
    except json.JSONDecodeError as error:
        raise RequestError(400, f"the request's body is not JSON: {error}") from None
    except ValueError:  # Python reads no integer of thousands of digits
        where = _place(text, rf"\d{{{sys.get_int_max_str_digits() + 1},}}")
        raise RequestError(400, f"the request's body has a number of too many digits at {where}") from None
    except RecursionError:
        raise RequestError(400, "the request's body is nested too deeply") from None
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


def _place(text: str, wanted: str) -> str:
    """Where the first match of a pattern outside of a string is."""
    found = re.finditer(rf"{_STRING}|{wanted}", text, re.DOTALL)
    at = next((match.start() for match in found if match[0][0] != '"'), 0)
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    return f"line {line}, column {column}"

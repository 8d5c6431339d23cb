"""Spans as OpenTelemetry's protocol has them in bytes: there is one kind of message, and it is made for each request.

https://github.com/open-telemetry/opentelemetry-proto: collector/trace/v1, trace/v1, common/v1, resource/v1
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable

from chassis.runtime.varint import to_varint

_ERROR = b"\x7a\x02\x18\x02"
"""`status` with the code 2."""

_TIMES = struct.Struct("<cqcq")
_START, _END = b"\x39", b"\x41"
_MAX_STARTS = 1024


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes, of text or of a message."""
    return to_varint(number << 3 | 2) + to_varint(len(content)) + content


@functools.cache
def _key(key: str) -> bytes:
    return _field(1, key.encode())


def attribute(key: str, value: str | int, field: int = 9) -> bytes:
    """An attribute of a span; of a resource with 1 as `field`."""
    content = b"\x18" + to_varint(value) if isinstance(value, int) else _field(1, value.encode(errors="replace"))
    return _field(field, _key(key) + _field(2, content))


def label(name: str, kind: int) -> bytes:
    """A span's name and its kind: 1 for internal, 2 for a server's."""
    return _field(5, name.encode()) + b"\x30" + to_varint(kind)


def link(trace: bytes, span: bytes) -> bytes:
    """A link of a span to another."""
    return b"\x6a\x1c\x0a\x10" + trace + b"\x12\x08" + span


class Form:
    """What spans of one kind have in common: all but ids, times, and a text or links at their end.

    Made once for each kind, since a span is made for each request.
    """

    __slots__ = ("_end", "_length", "_starts")

    def __init__(self, common: bytes, *, failed: bool, before: bytes = b"") -> None:
        """Takes its label and the attributes that each has, and what stands `before` the end that they differ in."""
        self._end = common + (_ERROR if failed else b"") + before
        self._length = 18 + 10 + _TIMES.size + len(self._end)
        self._starts: dict[int, bytes] = {}

    def span(self, trace: bytes, span: bytes, above: bytes, began: int, ended: int, rest: bytes) -> bytes:
        """A span in its scope, with ids of 16 and 8 bytes and times in nanoseconds since 1970.

        `above` is `parent` of the span above it, empty for a root; `rest` is how it ends: a text, or links.
        """
        length = self._length + len(above) + len(rest)
        start = self._starts.get(length) or self._start(length)
        return b"%b%b\x12\x08%b%b%b%b%b" % (
            *(start, trace, span, above),
            *(_TIMES.pack(_START, began, _END, ended), self._end, rest),
        )

    def _start(self, length: int) -> bytes:
        """What stands before the first id: the field that the span is, and the id's own."""
        start = b"\x12" + to_varint(length) + b"\x0a\x10"
        if len(self._starts) < _MAX_STARTS:
            self._starts[length] = start
        return start


def parent(span: bytes) -> bytes:
    """The parent of a span."""
    return b"\x22\x08" + span


def text(key: str, length: int) -> bytes:
    """What stands before `length` bytes of text that are the value of a span's attribute."""
    whole = attribute(key, "x" * length)
    return whole[: len(whole) - length]


def export(resource: Iterable[tuple[str, str]], scope: str, version: str, spans: Iterable[bytes]) -> bytes:
    """What a collector is sent: `spans` of one scope of one resource."""
    of = _field(1, b"".join(attribute(key, value, 1) for key, value in resource))
    named = _field(1, _field(1, scope.encode()) + _field(2, version.encode()))
    return _field(1, of + _field(2, named + b"".join(spans)))

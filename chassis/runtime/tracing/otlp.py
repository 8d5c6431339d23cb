"""Spans as OpenTelemetry's protocol has them in bytes: there is one kind of message, and it is made for each request.

https://github.com/open-telemetry/opentelemetry-proto: collector/trace/v1, trace/v1, common/v1, resource/v1
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterable

from chassis.runtime.varint import to_varint

_ERROR = b"\x7a\x02\x18\x02"
"""`status` with the code 2."""

_TIMES = "cqcq"
_START, _END = b"\x39", b"\x41"
_MAX_LAYOUTS = 1024
_LINK = b"\x6a\x1c"

PLACE = 28
"""Bytes of `place` without a span above: two fields, a trace's id of 16 bytes and a span's of 8."""

_PLACES = struct.Struct(f"{PLACE}s")
_MARKS = ((0, b"\x0a"), (1, b"\x10"), (18, b"\x12"), (19, b"\x08"))


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


def places(chance: bytes) -> list[bytes]:
    """Where spans are that begin a trace, each `place` with ids of its own, made of `PLACE` bytes by chance each."""
    content = bytearray(chance)
    for at, mark in _MARKS:
        content[at::PLACE] = mark * (len(content) // PLACE)
    return [place for (place,) in _PLACES.iter_unpack(content)]


def place(trace: bytes, span: bytes, above: bytes = b"") -> bytes:
    """Where a span is: its trace's id, its own and, unless it begins the trace, that of the span `above` it."""
    return b"\x0a\x10" + trace + b"\x12\x08" + span + (b"\x22\x08" + above if above else b"")


def ids(place: bytes) -> tuple[bytes, bytes]:
    """The trace's id and the span's."""
    return place[2:18], place[20:PLACE]


def links(places: Iterable[bytes]) -> bytes:
    """Links of a span to others."""
    found = [place[:PLACE] for place in places]
    return _LINK + _LINK.join(found) if found else b""


class Form:
    """What spans of one kind have in common: all but where they are, times, and a text or links at their end.

    Made once for each kind, since a span is made for each request.
    """

    __slots__ = ("_end", "_layouts")

    def __init__(self, common: bytes, *, failed: bool, before: bytes = b"") -> None:
        """Takes its label and the attributes that each has, and what stands `before` the end that they differ in."""
        self._end = common + (_ERROR if failed else b"") + before
        self._layouts: dict[int, tuple[bytes, Callable[..., bytes]]] = {}

    def span(self, place: bytes, began: int, ended: int, rest: bytes) -> bytes:
        """A span in its scope, with times in nanoseconds since 1970; `rest` is how it ends: a text, or links."""
        start, pack = self._layouts.get(len(rest) << 8 | len(place)) or self._layout(len(place), len(rest))
        return pack(start, place, _START, began, _END, ended, self._end, rest)

    def _layout(self, place: int, rest: int) -> tuple[bytes, Callable[..., bytes]]:
        """The field that a span of such parts is, and what puts the parts together."""
        parts = struct.Struct(f"<{place}s{_TIMES}{len(self._end)}s{rest}s")
        start = b"\x12" + to_varint(parts.size)
        layout = start, struct.Struct(f"<{len(start)}s{parts.format[1:]}").pack
        if len(self._layouts) < _MAX_LAYOUTS:
            self._layouts[rest << 8 | place] = layout
        return layout


def text(key: str, length: int) -> bytes:
    """What stands before `length` bytes of text that are the value of a span's attribute."""
    whole = attribute(key, "x" * length)
    return whole[: len(whole) - length]


def export(resource: Iterable[tuple[str, str]], scope: str, version: str, spans: Iterable[bytes]) -> bytes:
    """What a collector is sent: `spans` of one scope of one resource."""
    of = _field(1, b"".join(attribute(key, value, 1) for key, value in resource))
    named = _field(1, _field(1, scope.encode()) + _field(2, version.encode()))
    return _field(1, of + _field(2, named + b"".join(spans)))

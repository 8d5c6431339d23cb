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


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes, of text or of a message."""
    return _beginning(number, len(content)) + content


@functools.lru_cache(4096)
def _beginning(number: int, length: int) -> bytes:
    return to_varint(number << 3 | 2) + to_varint(length)


@functools.lru_cache(1024)
def before_text(key: str, length: int) -> bytes:
    """What stands before `length` bytes of text that are the value of a span's attribute."""
    whole = attribute(key, "x" * length)
    return whole[: len(whole) - length]


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


def span(trace: bytes, span: bytes, parent: bytes, began: int, ended: int, *, rest: bytes, failed: bool) -> bytes:
    """A span in its scope, with ids of 16 and 8 bytes, `parent` empty for a root, and times in nanoseconds since 1970.

    `rest` has its label, its attributes and its links.
    """
    times = _TIMES.pack(_START, began, _END, ended)
    above = b"\x22\x08" + parent if parent else b""
    return _field(2, b"\x0a\x10%b\x12\x08%b%b%b%b%b" % (trace, span, above, times, rest, _ERROR if failed else b""))


def export(resource: Iterable[tuple[str, str]], scope: str, version: str, spans: Iterable[bytes]) -> bytes:
    """What a collector is sent: `spans` of one scope of one resource."""
    of = _field(1, b"".join(attribute(key, value, 1) for key, value in resource))
    named = _field(1, _field(1, scope.encode()) + _field(2, version.encode()))
    return _field(1, of + _field(2, named + b"".join(spans)))

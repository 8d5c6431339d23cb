"""Reads `ar` archives, the outer form of Debian packages.

Specification: deb(5); the common ar format without symbol tables or long names, which packages may not use.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from chassis.errors import ChassisError

_MAGIC = b"!<arch>\n"
_HEADER_BYTES = 60
_HEADER_END = b"`\n"


class ArError(ChassisError):
    """An ar archive is damaged or cut short."""


@dataclass(frozen=True, slots=True)
class ArMember:
    """A member's name, its offset in the archive and its size, both in bytes."""

    name: str
    offset: int
    size: int


def read_members(stream: BinaryIO) -> Iterator[ArMember]:
    """Yields the members of a seekable archive in order, having checked that each lies within it.

    Raises:
      ArError: it is not an archive, a header is damaged, or a member is cut short.
    """
    total = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise ArError("is not an ar archive")
    position = len(_MAGIC)
    while position < total:
        stream.seek(position)
        header = stream.read(_HEADER_BYTES)
        if len(header) != _HEADER_BYTES or header[58:] != _HEADER_END:
            raise ArError(f"has a damaged member header at byte {position}")
        name = header[:16].rstrip(b" ").removesuffix(b"/")
        size = header[48:58].rstrip(b" ")
        if not size.isdigit() or not name.isascii() or not name.decode().isprintable():
            raise ArError(f"has a damaged member header at byte {position}")
        member = ArMember(name.decode(), position + _HEADER_BYTES, int(size))
        if member.offset + member.size > total:
            raise ArError(f"is truncated in member {member.name}")
        yield member
        position = member.offset + member.size + member.size % 2


class Section(io.RawIOBase):
    """A member of an open file as a stream of its own; the file must not be moved by others meanwhile."""

    def __init__(self, stream: BinaryIO, member: ArMember) -> None:
        super().__init__()
        stream.seek(member.offset)
        self._stream = stream
        self._left = member.size

    def readable(self) -> bool:
        """Always True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, none only at the member's end."""
        data = self._stream.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """As for any stream."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

"""Raw deflate streams as archives store them, inflated with every check that their directory allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from isal import isal_zlib

from chassis.errors import ChassisError

PIECE_BYTES = 1 << 20
_EMPTY_BLOCK = bytes.fromhex("0000ffff")
_BLOCK_HEADER = b"\0"
_FINAL_BLOCK = bytes.fromhex("0300")
# What `unended` feeds an inflater that has just read a block, to see where in a byte the block ended. A block's header
# has three bits and a stored block starts at the next whole byte.
# - Three bits or more are left in the byte: its zero bits are the header, so these bytes are two empty stored blocks
#   and the final one, and the inflater ends.
# - Fewer are left: the first byte is the header and the next four are a length, so a stored block of 65,280 bytes
#   begins, and the inflater hands on what follows.
_PROBE = _EMPTY_BLOCK + _BLOCK_HEADER + _EMPTY_BLOCK + _FINAL_BLOCK


class ContentError(ChassisError):
    """A stored content is not what its archive's directory says."""


def unended(stored: bytes, size: int) -> bytes | None:
    """The same deflate data without an end, so that further blocks can follow from the next byte on.

    `stored` is a whole deflate stream that inflates to `size` bytes. Only one of a single block can be changed so
    (RFC 1951, section 3.2.3: the stream's first bit marks it as the last one); None for others. An empty stored block
    leads to the next byte's start.
    """
    if not stored[0] & 1:
        return None
    opened = bytes((stored[0] & 0xFE,)) + stored[1:]
    stream = isal_zlib.decompressobj(-15)
    try:
        content = stream.decompress(opened, size + 1)
        after = stream.decompress(_PROBE)
    except isal_zlib.error:
        return None
    if len(content) != size:
        return None
    if stream.eof and not after and not stream.unused_data:
        return opened + _EMPTY_BLOCK
    if not stream.eof and after == _PROBE[len(_EMPTY_BLOCK) + 1 :]:
        return opened + _BLOCK_HEADER + _EMPTY_BLOCK
    return None


@dataclass(frozen=True, slots=True)
class DeflateSource:
    """A content in an archive.

    `read(n)` returns the next n bytes of the stored form, fewer only at its end; `stored_size` and `size` are
    the lengths in bytes of the stored and the inflated form, `crc` the CRC-32 of the latter; `deflated` is
    false if it is stored plain.
    """

    read: Callable[[int], bytes]
    stored_size: int
    size: int
    crc: int
    deflated: bool = True

    def inflate(self, on_stored: Callable[[bytes], None] | None = None) -> Iterator[bytes]:
        """Yields the content in pieces of at most 1 MiB; each stored piece is first given to `on_stored`.

        Raises:
          ContentError: after the pieces, or in their midst: truncated, over-long or corrupt deflate data, a
            size or a CRC-32 that differs.
        """
        return self._inflated(on_stored) if self.deflated else self._plain(on_stored)

    def whole(self) -> tuple[bytes, bytes]:
        """The stored form and the content of a small source, at once.

        Raises:
          ContentError: as `inflate` does.
        """
        if not self.deflated:
            content = b"".join(self._plain(None))
            return content, content
        stored = self.read(self.stored_size)
        if len(stored) != self.stored_size:
            raise ContentError("is truncated: the archive ends in its midst")
        stream = isal_zlib.decompressobj(-15)
        try:
            content = stream.decompress(stored, self.size + 1)
        except isal_zlib.error as error:
            raise ContentError(f"holds corrupt deflate data: {error}") from None
        if len(content) > self.size:
            raise ContentError(f"inflates to more than the {self.size} bytes that the directory states")
        self._check_end(stream)
        self._check(len(content), isal_zlib.crc32(content))
        return stored, content

    def _inflated(self, on_stored: Callable[[bytes], None] | None) -> Iterator[bytes]:
        stream = isal_zlib.decompressobj(-15)
        produced = crc = 0
        for stored in self._stored(on_stored):
            if stream.eof:
                raise ContentError("has bytes after the end of its deflate stream")
            cut = True
            while cut and not stream.eof:
                # One byte over what is due shows a stream that is longer than its directory says.
                limit = min(PIECE_BYTES, self.size - produced + 1)
                try:
                    piece = stream.decompress(stored, limit)
                except isal_zlib.error as error:
                    raise ContentError(f"holds corrupt deflate data: {error}") from None
                stored = stream.unconsumed_tail
                cut = len(piece) == limit or bool(stored)
                produced += len(piece)
                if produced > self.size:
                    raise ContentError(f"inflates to more than the {self.size} bytes that the directory states")
                crc = isal_zlib.crc32(piece, crc)
                yield piece
        self._check_end(stream)
        self._check(produced, crc)

    def _plain(self, on_stored: Callable[[bytes], None] | None) -> Iterator[bytes]:
        if self.stored_size != self.size:
            raise ContentError(f"is stored in {self.stored_size} bytes, and the directory states {self.size}")
        crc = 0
        for piece in self._stored(on_stored):
            crc = isal_zlib.crc32(piece, crc)
            yield piece
        self._check(self.size, crc)

    def _stored(self, on_stored: Callable[[bytes], None] | None) -> Iterator[bytes]:
        left = self.stored_size
        while left:
            count = min(left, PIECE_BYTES)
            piece = self.read(count)
            if len(piece) != count:
                raise ContentError("is truncated: the archive ends in its midst")
            left -= count
            if on_stored:
                on_stored(piece)
            yield piece

    def _check_end(self, stream: Any) -> None:
        if not stream.eof:
            raise ContentError("ends before its deflate stream does")
        if stream.unused_data or stream.unconsumed_tail:
            raise ContentError("has bytes after the end of its deflate stream")

    def _check(self, produced: int, crc: int) -> None:
        if produced != self.size:
            raise ContentError(f"inflates to {produced} bytes, the directory states {self.size}")
        if crc != self.crc:
            raise ContentError(f"has CRC-32 {crc:08x}, the directory states {self.crc:08x}")

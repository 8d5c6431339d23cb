"""How a tar becomes a blob: gzip members that existing deflate streams are spliced into, or one plain or zstd
stream.

Specifications: RFC 1952 (gzip: several members are one file), RFC 1951 section 3.2.4 (stored blocks), OCI
image specification, layer.md, "Gzip media types" and "zstd media types".

What is compressed here is compressed by `chassis.compression`, whose bytes depend on the content alone. ISA-L only
inflates and takes checksums: what that gives is determined by its input, and is compared with digests.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import BinaryIO, Protocol

from isal import isal_zlib

from chassis.compression.compressor import MEMBER_BYTES, deflated
from chassis.oci.descriptor import MEDIA_TYPE_LAYER, MEDIA_TYPE_LAYER_GZIP, MEDIA_TYPE_LAYER_ZSTD
from chassis.oci.layer.cut_members import CutMember
from chassis.oci.layer.hashing import HashThread
from chassis.oci.layer.stored_blocks import STORED_END, stored_blocks

GZIP_HEADER = bytes.fromhex("1f8b08000000000000ff")
_FLUSH_BYTES = 1 << 18
_ZSTD_LEVEL = 3
_TRAILER = struct.Struct("<II")


class BlobFile:
    """The compressed output: counts, hashes and writes in large pieces."""

    def __init__(self, stream: BinaryIO, threads: HashThread) -> None:
        self._stream = stream
        self._threads = threads
        self._parts: list[bytes | bytearray] = []
        self._waiting = 0
        self._state = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | bytearray) -> None:
        """Appends `data`, which must not change from now on."""
        self._parts.append(data)
        self.size += len(data)
        self._waiting += len(data)
        if self._waiting >= _FLUSH_BYTES:
            self._flush()

    def finish(self) -> str:
        """Writes what waits and returns the hexadecimal SHA-256 of all."""
        self._flush()
        self._threads.drain()
        return self._state.hexdigest()

    def _flush(self) -> None:
        piece = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._waiting = 0
        self._threads.submit(piece, self._state)
        self._stream.write(piece)


class Encoder(Protocol):
    """Takes a tar's frames and contents in order and writes the blob."""

    media_type: str
    splices: bool
    """Whether `raw` is understood: deflate streams are copied as they are."""
    member_bytes: int
    """The most bytes that `plain` takes of a content that is to be compressed; 0 if it takes any number."""

    def frame(self, data: bytes) -> None:
        """Headers and paddings between two contents."""

    def begin(self) -> int:
        """Starts a content and returns its offset in the blob."""

    def raw(self, data: bytes) -> None:
        """A piece of a content's deflate stream."""

    def end(self, crc: int, size: int) -> None:
        """Ends a content given with `raw`."""

    def whole(self, raw: bytes, crc: int, size: int, ended: bool = True) -> int:
        """A content's whole deflate stream: `begin`, `raw` and `end` in one; not `ended` says that the stream's last
        block is still to come.
        """

    def cut(self) -> None:
        """Lets nothing that follows share a member with what was written."""

    def plain(self, pieces: Iterable[bytes], store: bool) -> None:
        """A whole content uncompressed, after `begin`; `store` says that compressing it is not worth it."""

    def member(self, member: CutMember) -> int:
        """A part of a content, compressed; returns its offset in the blob."""

    def finish(self) -> None:
        """Ends the stream if it has an end."""


class GzipMembers:
    """A gzip file of several members: one for each content, one for what lies between two of them.

    What follows a content whose deflate stream has no end yet completes its member: a reader that goes by the table of
    contents takes the content's size from a member's start and leaves the rest.
    """

    media_type = MEDIA_TYPE_LAYER_GZIP
    splices = True
    member_bytes = MEMBER_BYTES

    def __init__(self, out: BlobFile) -> None:
        self._out = out
        self._open: tuple[int, int] | None = None

    def frame(self, data: bytes) -> None:
        """A member of its own, or the rest of the one before it."""
        header, crc, size = GZIP_HEADER, 0, 0
        if self._open:
            header, (crc, size) = b"", self._open
            self._open = None
        self._out.write(b"".join((header, deflated(data), _trailer(isal_zlib.crc32(data, crc), size + len(data)))))

    def begin(self) -> int:
        """Writes the member's header."""
        self.cut()
        offset = self._out.size
        self._out.write(GZIP_HEADER)
        return offset

    def raw(self, data: bytes) -> None:
        """Writes `data`, which is compressed already."""
        self._out.write(data)

    def end(self, crc: int, size: int) -> None:
        """Writes the member's CRC-32 and size."""
        self._out.write(_trailer(crc, size))

    def whole(self, raw: bytes, crc: int, size: int, ended: bool = True) -> int:
        """Writes a member at once, or all of it but its end."""
        self.cut()
        offset = self._out.size
        self._out.write(b"%b%b%b" % (GZIP_HEADER, raw, _trailer(crc, size) if ended else b""))
        self._open = None if ended else (crc, size)
        return offset

    def cut(self) -> None:
        """Ends the member that is still open."""
        if self._open:
            self._out.write(STORED_END)
            self.end(*self._open)
            self._open = None

    def plain(self, pieces: Iterable[bytes], store: bool) -> None:
        """Deflates, or wraps in stored blocks, and ends the member."""
        if not store:
            content = b"".join(pieces)
            self._out.write(deflated(content))
            self.end(isal_zlib.crc32(content), len(content))
            return
        crc, size = 0, 0
        for piece in pieces:
            crc = isal_zlib.crc32(piece, crc)
            size += len(piece)
            self._out.write(stored_blocks(piece))
        self._out.write(STORED_END)
        self.end(crc, size)

    def member(self, member: CutMember) -> int:
        """Writes a member at once."""
        offset = self.begin()
        self._out.write(member.stream)
        self.end(member.crc, member.size)
        return offset

    def finish(self) -> None:
        """Ends the last member."""
        self.cut()


class PlainTar:
    """The tar itself, without compression."""

    media_type = MEDIA_TYPE_LAYER
    splices = False
    member_bytes = 0

    def __init__(self, out: BlobFile) -> None:
        self._out = out

    def frame(self, data: bytes) -> None:
        """Writes `data` as it is: this form has no frames."""
        self._out.write(data)

    def begin(self) -> int:
        """Nothing is written; the offset is where the content will start."""
        return self._out.size

    def raw(self, data: bytes) -> None:
        """Never called: `splices` is false."""
        raise NotImplementedError

    def end(self, crc: int, size: int) -> None:
        """Never called: `splices` is false."""
        raise NotImplementedError

    def whole(self, raw: bytes, crc: int, size: int, ended: bool = True) -> int:
        """Never called: `splices` is false."""
        raise NotImplementedError

    def cut(self) -> None:
        """Nothing: there are no members."""

    def plain(self, pieces: Iterable[bytes], store: bool) -> None:
        """Writes the pieces as they are."""
        for piece in pieces:
            self._out.write(piece)

    def member(self, member: CutMember) -> int:
        """Never called: `member_bytes` is 0 and such layers have no chunks."""
        raise NotImplementedError

    def finish(self) -> None:
        """A plain tar has no end of its own."""


class ZstdTar(PlainTar):
    """The tar as one zstd frame, level 3, one thread (its output does not depend on the number of CPUs)."""

    media_type = MEDIA_TYPE_LAYER_ZSTD

    def __init__(self, out: BlobFile) -> None:
        import zstandard  # Only this mode needs the package.

        super().__init__(out)
        compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
        self._stream = compressor.compressobj()

    def frame(self, data: bytes) -> None:
        """Compresses headers."""
        self._out.write(self._stream.compress(data))

    def plain(self, pieces: Iterable[bytes], store: bool) -> None:
        """Compresses; zstd skips by itself what does not shrink."""
        for piece in pieces:
            self._out.write(self._stream.compress(piece))

    def finish(self) -> None:
        """Ends the frame."""
        self._out.write(self._stream.flush())


def compresses(samples: Iterable[bytes], least_saving: float) -> bool:
    """Whether deflating saves at least the fraction `least_saving` of the samples."""
    plain = stored = 0
    for sample in samples:
        plain += len(sample)
        stored += len(deflated(sample))
    return stored <= plain * (1 - least_saving)


def _trailer(crc: int, size: int) -> bytes:
    return _TRAILER.pack(crc, size & 0xFFFFFFFF)

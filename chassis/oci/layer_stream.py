"""A layer's blob as a stream of tar bytes, whatever it is compressed with, with both digests taken on the
way.

Specification: OCI image specification, layer.md, section "Distributable Format".
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from chassis.errors import ChassisError

GZIP, ZSTD, PLAIN = "gzip", "zstd", "plain"
_MAX_ZSTD_WINDOW_BYTES = 128 << 20
_READ_BYTES = 1 << 20


class LayerStreamError(ChassisError):
    """A layer's blob is damaged or compressed with something unknown."""


def compression_of(media_type: str, where: str) -> str:
    """`gzip`, `zstd` or `plain`, by a layer's media type, OCI's or Docker's."""
    if media_type.endswith((".tar+gzip", ".tar.gzip")):
        return GZIP
    if media_type.endswith((".tar+zstd", ".tar.zstd")):
        return ZSTD
    if media_type.endswith(".tar"):
        return PLAIN
    raise LayerStreamError(
        f"{where}: has the media type {media_type!r}; only tar, tar+gzip and tar+zstd can be unpacked"
    )


class CountedReader(io.RawIOBase):
    """Passes reads through and shows every byte to a callback; `size` counts them."""

    def __init__(self, stream: BinaryIO, on_bytes: Callable[[bytes], None]) -> None:
        super().__init__()
        self._stream = stream
        self._on_bytes = on_bytes
        self.size = 0

    def readinto(self, buffer: Any, /) -> int:
        """Fills at most `buffer` and returns how many bytes it got, none only at the end."""
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        if data:
            self.size += len(data)
            self._on_bytes(data)
        return len(data)

    def drain(self) -> None:
        """Reads what is left."""
        while self.read(_READ_BYTES):
            pass

    def readable(self) -> bool:
        """Always true."""
        return True


class InflatedStream:
    """The tar bytes of a compressed stream, with decompression errors that name the layer."""

    def __init__(self, source: CountedReader, compression: str, where: str) -> None:
        self._where = where
        self._failures: tuple[type[BaseException], ...] = ()
        stream = cast(BinaryIO, source)
        if compression == GZIP:
            import zlib

            from isal import igzip, isal_zlib

            # Members follow each other (eStargz has two a file); the reader in C goes through them.
            self._failures = (OSError, EOFError, zlib.error, isal_zlib.error)
            self._stream: BinaryIO = cast(BinaryIO, igzip.IGzipFile(fileobj=stream, mode="rb"))
        elif compression == ZSTD:
            import zstandard

            self._failures = (zstandard.ZstdError,)
            inflater = zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW_BYTES)
            self._stream = cast(BinaryIO, inflater.stream_reader(stream, read_across_frames=True))
        else:
            self._stream = stream

    def read(self, size: int) -> bytes:
        """At most `size` bytes of the tar, none only at its end."""
        try:
            return self._stream.read(size)
        except self._failures as error:
            raise LayerStreamError(f"{self._where}: the compressed data is damaged: {error}") from None

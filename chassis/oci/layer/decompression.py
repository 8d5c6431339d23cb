"""Decompressed streams of the forms that Debian packages use, read ahead in a thread."""

from __future__ import annotations

import lzma
import queue
import threading
import zlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import BinaryIO, Self

from isal import isal_zlib

from chassis.errors import ChassisError

_READ_BYTES = 1 << 18
_PIECE_BYTES = 1 << 20
_WAITING_PIECES = 8
_XZ_MEMORY_BYTES = 256 << 20
_ZSTD_WINDOW_BYTES = 128 << 20
_ZSTD_READ_BYTES = 1 << 10  # Four bytes may stand for 128 KiB, and what they inflate to comes at once.


class DecompressionError(ChassisError):
    """A compressed stream is damaged, cut short or of an unknown form."""


class Decompressed:
    """The plain bytes of a compressed stream: `read` as of any stream, the work done by a thread of its own.

    Use it as a context manager: leaving it ends the thread, however much was read.
    """

    def __init__(self, source: BinaryIO, form: str, most_bytes: int) -> None:
        """`form` is `xz`, `gz`, `zst` or empty for none; more than `most_bytes` are refused as a bomb."""
        if form not in _FORMS:
            raise DecompressionError(f"is compressed with {form!r}; understood are xz, gz and zst")
        self._pieces: queue.Queue[bytes | BaseException] = queue.Queue(_WAITING_PIECES)
        self._ended = threading.Event()
        self._most_bytes = most_bytes
        self._piece = b""
        self._position = 0
        self._thread = threading.Thread(target=self._run, args=(_FORMS[form](source),), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        while self._thread.is_alive():
            try:
                self._pieces.get(timeout=0.01)
            except queue.Empty:
                continue
        self._thread.join()

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none only at the end.

        Raises:
          DecompressionError: the stream is damaged or cut short.
        """
        if self._position == len(self._piece):
            if self._ended.is_set():
                return b""
            piece = self._pieces.get()
            if isinstance(piece, BaseException):
                self._ended.set()
                raise piece
            if not piece:
                self._ended.set()
            self._piece, self._position = piece, 0
        start = self._position
        self._position = min(start + size, len(self._piece))
        if start == 0 and self._position == len(self._piece):
            return self._piece
        return self._piece[start : self._position]

    def _run(self, pieces: Iterator[bytes]) -> None:
        size = 0
        try:
            for piece in pieces:
                if self._ended.is_set():
                    return
                size += len(piece)
                if size > self._most_bytes:
                    raise DecompressionError(f"inflates to more than {self._most_bytes} bytes: a decompression bomb")
                if piece:
                    self._pieces.put(piece)
            self._pieces.put(b"")
        except BaseException as error:
            self._pieces.put(error)


def _xz(source: BinaryIO) -> Iterator[bytes]:
    stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)
    data = b""
    try:
        while not stream.eof:
            if stream.needs_input and not (data := source.read(_READ_BYTES)):
                raise DecompressionError("is truncated: its xz data end early")
            yield stream.decompress(data, _PIECE_BYTES)
            data = b""
    except lzma.LZMAError as error:
        raise DecompressionError(f"holds corrupt xz data: {error}") from None
    if stream.unused_data.strip(b"\0") or source.read(1):
        raise DecompressionError("has bytes after the end of its xz data")


def _gzip(source: BinaryIO) -> Iterator[bytes]:
    stream = isal_zlib.decompressobj(31)
    data = b""
    try:
        while not stream.eof:
            if not data and not (data := source.read(_READ_BYTES)):
                raise DecompressionError("is truncated: its gzip data end early")
            piece = stream.decompress(data, _PIECE_BYTES)
            data = stream.unconsumed_tail
            yield piece
            while len(piece) == _PIECE_BYTES and not data and not stream.eof:
                yield (piece := stream.decompress(b"", _PIECE_BYTES))
    except (isal_zlib.error, zlib.error) as error:
        raise DecompressionError(f"holds corrupt gzip data: {error}") from None
    if stream.unused_data or source.read(1):
        raise DecompressionError("has bytes after the end of its gzip data")


def _zstd(source: BinaryIO) -> Iterator[bytes]:
    import zstandard  # Debian's own packages are xz; only others need this package.

    stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()
    try:
        while not stream.eof:
            data = source.read(_ZSTD_READ_BYTES)
            if not data:
                raise DecompressionError("is truncated: its zstd data end early")
            yield from _cut(stream.decompress(data))
    except zstandard.ZstdError as error:
        raise DecompressionError(f"holds corrupt zstd data: {error}") from None
    if stream.unused_data or source.read(1):
        raise DecompressionError("has bytes after the end of its zstd data")


def _plain(source: BinaryIO) -> Iterator[bytes]:
    while piece := source.read(_PIECE_BYTES):
        yield piece


def _cut(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _PIECE_BYTES):
        yield data[start : start + _PIECE_BYTES]


_FORMS: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {"xz": _xz, "gz": _gzip, "zst": _zstd, "": _plain}

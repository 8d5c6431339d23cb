"""The texts that describe an sdist, read from its archive while nothing in that is trusted.

An index may have an archive of a megabyte that grows to gigabytes: by large texts, by many of them, by millions of
empty entries, by a dictionary of a compression that takes gigabytes. All of it is bounded here.
"""

from __future__ import annotations

import bz2
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from chassis.oci.tar_reader import FILE, TarReader

_MAX_UNPACKED = 8 << 30
_MAX_TEXT = 2 << 20
_MAX_TEXTS_BYTES = 16 << 20
_MAX_TEXTS = 64
_MAX_ZIP_DIRECTORY = 8 << 20
_MAX_XZ_MEMORY = 128 << 20
_BLOCK = 1 << 18
_DIRECTORY_SIZE = 5  # where zipfile's record of a zip's end has it
_MAGIC = {b"\x1f\x8b": "gz", b"BZ": "bz2", b"\xfd7": "xz"}


def sdist_texts(content: BinaryIO, file: str, check: Callable[[], None] = lambda: None) -> dict[str, str]:
    """`PKG-INFO` and each `requires.txt` of the sdist `content`, by their path below its one directory.

    `file` is its name. `check` is called again and again, and may raise.

    Raises:
      ValueError, OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, TarError: it cannot be read, or is
        larger than sdists are.
    """
    texts = _Texts()
    if file.endswith(".zip"):
        _read_zip(content, texts, check)
    else:
        _read_tar(content, file, texts, check)
    return texts.found


class _Texts:
    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._number = self._bytes = 0

    def takes(self, path: str, size: int) -> bool:
        """Whether a file is such a text; raises ValueError if it would be too many, or too much."""
        if not _is_wanted(path):
            return False
        self._number += 1
        self._bytes += size
        if size > _MAX_TEXT or self._bytes > _MAX_TEXTS_BYTES or self._number > _MAX_TEXTS:
            raise ValueError(
                f"its metadata is more than {_MAX_TEXTS} files, or larger than {_MAX_TEXT >> 20} MiB each and "
                f"{_MAX_TEXTS_BYTES >> 20} MiB together"
            )
        return True

    def add(self, path: str, text: bytes) -> None:
        self.found[path.partition("/")[2]] = text.decode("utf-8", "replace")


def _read_zip(content: BinaryIO, texts: _Texts, check: Callable[[], None]) -> None:
    # The library reads a zip's directory into memory whole, some hundred bytes of objects for each entry.
    end = zipfile._EndRecData(content)  # type: ignore[attr-defined]
    if end and end[_DIRECTORY_SIZE] > _MAX_ZIP_DIRECTORY:
        raise ValueError(f"its directory has {end[_DIRECTORY_SIZE]} bytes, at most {_MAX_ZIP_DIRECTORY} are read")
    with zipfile.ZipFile(content) as archive:
        for info in archive.infolist():
            check()
            if texts.takes(info.filename, info.file_size):
                with archive.open(info) as text:
                    texts.add(info.filename, text.read(_MAX_TEXT))


def _read_tar(content: BinaryIO, file: str, texts: _Texts, check: Callable[[], None]) -> None:
    start = content.read(2)
    content.seek(0)
    reader = TarReader(_Stream(content, _MAGIC.get(start, ""), check), file)
    for entry in reader:
        if entry.type == FILE and texts.takes(entry.path, entry.size):
            texts.add(entry.path, b"".join(bytes(piece) for piece in reader.pieces()))


class _Decompressor(Protocol):
    """As bz2 and lzma have it."""

    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's with the methods of the others."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


_DECOMPRESSORS: dict[str, Callable[[], object]] = {
    "gz": _Gzip,
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=_MAX_XZ_MEMORY),
}


class _Stream:
    """A file, inflated if it is compressed: so many bytes at most, and of them in memory what is asked for."""

    def __init__(self, file: BinaryIO, kind: str, check: Callable[[], None]) -> None:
        self._file = file
        self._start = _DECOMPRESSORS.get(kind)
        self._inflater: _Decompressor | None = None
        self._check = check
        self._left = _MAX_UNPACKED

    def read(self, size: int, /) -> bytes:
        self._check()
        data = self._inflate(min(size, _BLOCK)) if self._start else self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f"it unpacks to more than {_MAX_UNPACKED >> 30} GiB")
        return data

    def _inflate(self, size: int) -> bytes:
        assert self._start
        while True:
            if self._inflater is None or self._inflater.eof:
                more = (self._inflater.unused_data if self._inflater else b"") or self._file.read(_BLOCK)
                if not more.strip(b"\0"):  # the end, or what fills the last block of a tape
                    return b""
                self._inflater = cast(_Decompressor, self._start())
            elif self._inflater.needs_input:
                more = self._file.read(_BLOCK)
                if not more:
                    raise EOFError("it is cut short")
            else:
                more = b""
            if data := self._inflater.decompress(more, size):
                return data
            self._check()


def _is_wanted(path: str) -> bool:
    parts = path.split("/")
    if len(parts) == 2:
        return parts[1] == "PKG-INFO"
    return len(parts) > 2 and parts[-1] == "requires.txt" and Path(parts[-2]).suffix == ".egg-info"

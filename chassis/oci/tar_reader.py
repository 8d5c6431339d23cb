"""Reads tar streams entry by entry, trusting nothing that they say.

Understood are POSIX ustar and pax (IEEE Std 1003.1, "pax Interchange Format") and GNU's long names and
base-256 numbers, which is what layer media types allow (OCI image specification, layer.md). Sparse files are
refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from chassis.errors import ChassisError

BLOCK = 512
_CHUNK_BYTES = 1 << 20
_MAX_EXTENSION_BYTES = 1 << 20  # of one long name or pax header; real ones have a few hundred
_MAX_ENTRY_BYTES = 1 << 40
_ZERO_BLOCK = bytes(BLOCK)
_CAPABILITY = b"SCHILY.xattr.security.capability"  # as GNU tar, bsdtar and container builders write it

FILE, HARDLINK, SYMLINK, DIRECTORY, SPECIAL = "file", "hardlink", "symlink", "dir", "special"
_TYPES = {b"0": FILE, b"\0": FILE, b"7": FILE, b"1": HARDLINK, b"2": SYMLINK, b"5": DIRECTORY}
_SPECIAL = (b"3", b"4", b"6")


class TarError(ChassisError):
    """A tar stream is damaged, cut short, or uses something that layers may not."""


@dataclass(frozen=True, slots=True)
class TarEntry:
    """One entry: `path` and `link` as written in the archive, `mode` the permission bits, `size` in bytes,
    `mtime` in seconds since the epoch. `type` is file, hardlink, symlink, dir, or special for devices and
    pipes. `capable` says that the file has capabilities (capabilities(7)), which whoever runs it gets."""

    path: str
    type: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime: float
    link: str
    capable: bool = False


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class TarReader:
    """Iterates over the entries of a tar stream; the payload of the current one may be taken with
    `pieces` or `copy_to`.
    """

    def __init__(self, stream: _Readable, where: str, on_bytes: Callable[[bytes], None] | None = None) -> None:
        """`where` names the archive in errors; `on_bytes` sees every byte of the stream, in order."""
        self._stream = stream
        self._where = where
        self._on_bytes = on_bytes
        self._chunk = memoryview(b"")
        self._position = 0
        self._left = 0  # bytes of the current payload that were not taken
        self._padding = 0
        self._global: dict[str, str] = {}

    def __iter__(self) -> Iterator[TarEntry]:
        """Yields every entry, then reads the stream to its end.

        Raises:
          TarError: a header's checksum or number is wrong, or the stream ends early.
        """
        extensions: dict[str, str] = {}
        is_extended = False
        while (header := self._next_header()) is not None:
            kind = header[156:157]
            if kind in (b"x", b"g", b"L", b"K"):
                data, padding = self._extension(self._number(header, 124, 12))
                is_extended = kind != b"g"
                if kind == b"x":
                    self._extend(extensions, self._pax(data))
                elif kind == b"g":
                    self._extend_all(self._pax(data))
                else:
                    if b"\0" not in data and padding[:1] not in (b"", b"\0"):
                        # Some readers take a long name to its NUL, whatever the size says.
                        raise TarError(f"{self._where}: a long name goes on after its end: {data[:80]!r}")
                    key = "path" if kind == b"L" else "linkpath"
                    self._extend(extensions, {key: self._text(data.split(b"\0", 1)[0])})
                continue
            entry = self._entry(header, kind, self._global | extensions if self._global else extensions)
            extensions, is_extended = {}, False
            self._left = entry.size
            self._padding = -entry.size % BLOCK
            yield entry
        if is_extended:
            raise TarError(f"{self._where}: ends after an extension header that belongs to no file")
        self._drain()

    def pieces(self) -> Iterator[memoryview]:
        """Yields what is left of the current entry's payload, in pieces of at most 1 MiB."""
        while self._left:
            piece = self._take(self._left)
            self._left -= len(piece)
            yield piece

    def copy_to(self, descriptor: int) -> None:
        """Writes the current entry's whole payload to a file descriptor."""
        for piece in self.pieces():
            while piece:
                piece = piece[os.write(descriptor, piece) :]

    def read(self, size: int) -> bytes:
        """At most `size` further bytes of the current entry's payload, none only at its end."""
        piece = self._take(min(size, self._left)) if self._left else b""
        self._left -= len(piece)
        return bytes(piece)

    def _take(self, most: int) -> memoryview:
        """Between 1 and `most` bytes of the stream."""
        if self._position == len(self._chunk) and not self._refill():
            raise TarError(f"{self._where}: ends in the middle of a file")
        start = self._position
        self._position = min(start + most, len(self._chunk))
        return self._chunk[start : self._position]

    def _refill(self) -> bool:
        data = self._stream.read(_CHUNK_BYTES)
        if data and self._on_bytes:
            self._on_bytes(data)
        self._chunk, self._position = memoryview(data), 0
        return bool(data)

    def _exactly(self, size: int) -> bytes:
        piece = self._take(size)
        if len(piece) == size:
            return bytes(piece)
        parts = [bytes(piece)]
        size -= len(piece)
        while size:
            parts.append(bytes(self._take(size)))
            size -= len(parts[-1])
        return b"".join(parts)

    def _skip(self, size: int) -> None:
        while size:
            size -= len(self._take(size))

    def _next_header(self) -> bytes | None:
        """The next header block; None at the archive's end, which is a zero block or the stream's end."""
        self._skip(self._left + self._padding)
        self._left = self._padding = 0
        if self._position == len(self._chunk) and not self._refill():
            return None
        header = self._exactly(BLOCK)
        if header == _ZERO_BLOCK:
            return None
        # The sum of all bytes with the checksum's own field taken as blanks; summing bytes is fast in C.
        if sum(header) - sum(header[148:156]) + 8 * 0x20 != self._number(header, 148, 8):
            raise TarError(f"{self._where}: a header's checksum is wrong; the archive is damaged")
        return header

    def _drain(self) -> None:
        self._position = len(self._chunk)
        while self._refill():
            self._position = len(self._chunk)

    def _number(self, header: bytes, start: int, width: int) -> int:
        field = header[start : start + width]
        if field[0] & 0x80:  # GNU: base-256, big-endian, two's complement
            value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
            return value if field[0] == 0x80 else value - (1 << (8 * width - 1))
        text = field.split(b"\0", 1)[0].strip()
        try:
            return int(text, 8) if text else 0
        except ValueError:
            raise TarError(f"{self._where}: {field!r} in a header is not an octal number") from None

    def _extension(self, size: int) -> tuple[bytes, bytes]:
        """The payload of an extension header, and what fills its last block."""
        if not 0 <= size <= _MAX_EXTENSION_BYTES:
            raise TarError(f"{self._where}: an extension header of {size} bytes; at most {_MAX_EXTENSION_BYTES}")
        blocks = self._exactly(size + -size % BLOCK) if size else b""
        return blocks[:size], blocks[size:]

    def _extend(self, extensions: dict[str, str], more: dict[str, str]) -> None:
        """Adds what one more header says of the next file; readers differ on which of two headers they believe."""
        for key, value in more.items():
            if not value or extensions.setdefault(key, value) != value:
                raise TarError(f"{self._where}: extension headers give an empty {key}, or two of one file")

    def _extend_all(self, more: dict[str, str]) -> None:
        if of_one := more.keys() & {"path", "linkpath", "size"}:
            raise TarError(f"{self._where}: a global header sets the {min(of_one)} of every file")
        self._global |= more

    def _pax(self, data: bytes) -> dict[str, str]:
        """Records of the form `<length> <key>=<value>\\n`, the length counting itself."""
        records: dict[str, str] = {}
        while data:
            digits, blank, _ = data.partition(b" ")
            length = int(digits) if digits.isdigit() and len(digits) < 9 else 0
            record = data[len(digits) + 1 : length]
            key, equals, value = record[:-1].partition(b"=")
            if not blank or not equals or length > len(data) or record[-1:] != b"\n":
                raise TarError(f"{self._where}: a damaged pax record {data[:40]!r}")
            if key.startswith(b"GNU.sparse"):
                raise TarError(f"{self._where}: holds a sparse file, which layers may not")
            if key == _CAPABILITY:
                records["capability"] = "yes"
            elif key in (b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime"):
                records[key.decode()] = self._text(value)
            data = data[length:]
        return records

    def _text(self, value: bytes) -> str:
        # Names on Linux are bytes: surrogates carry what is not UTF-8 to the file system unchanged.
        if b"\0" in value:
            raise TarError(f"{self._where}: a name holds a NUL byte: {value[:80]!r}")
        return os.fsdecode(value)

    def _is_old_directory(self, header: bytes, kind: bytes, path: str, size: int) -> bool:
        """Before POSIX, tar wrote a directory as a file of the type NUL whose name ends in a slash.

        Of any other type, or if only one of header and extension has the slash, readers differ on what it is.
        """
        ends = path.endswith("/")
        if kind == b"\0" and ends != header[:100].split(b"\0", 1)[0].endswith(b"/"):
            raise TarError(f"{self._where}: {path!r} is a directory by one of its two names alone")
        if ends and (size or kind != b"\0"):
            raise TarError(f"{self._where}: {path!r} is named as a directory and is a file")
        return ends

    def _entry(self, header: bytes, kind: bytes, extensions: dict[str, str]) -> TarEntry:
        name = header[:100].split(b"\0", 1)[0]
        if header[257:263] == b"ustar\0" and (prefix := header[345:500].split(b"\0", 1)[0]):
            name = prefix + b"/" + name
        path = extensions.get("path") or self._text(name)
        if kind not in _TYPES and kind not in _SPECIAL:
            raise TarError(f"{self._where}: {path!r} is an entry of the unknown type {kind!r}")
        type_ = _TYPES.get(kind, SPECIAL)
        size = self._extended_number(extensions, "size", self._number(header, 124, 12))
        if not 0 <= size <= _MAX_ENTRY_BYTES:
            raise TarError(f"{self._where}: {path!r} has the impossible size {size}")
        if type_ == FILE and self._is_old_directory(header, kind, path, size):
            type_ = DIRECTORY
        return TarEntry(
            path=path,
            type=type_,
            mode=self._number(header, 100, 8) & 0o7777,
            uid=self._extended_number(extensions, "uid", self._number(header, 108, 8)),
            gid=self._extended_number(extensions, "gid", self._number(header, 116, 8)),
            # Links have no payload, whatever their size says (pax: "size" of a hard link is the file's).
            size=size if type_ == FILE else 0,
            mtime=self._extended_number(extensions, "mtime", self._number(header, 136, 12)),
            link=extensions.get("linkpath") or self._text(header[157:257].split(b"\0", 1)[0]),
            capable="capability" in extensions,
        )

    def _extended_number(self, extensions: dict[str, str], key: str, default: int) -> int:
        if key not in extensions:
            return default
        try:
            return int(float(extensions[key])) if key == "mtime" else int(extensions[key])
        except (ValueError, OverflowError):
            raise TarError(f"{self._where}: pax record {key}={extensions[key]!r} is not a number") from None

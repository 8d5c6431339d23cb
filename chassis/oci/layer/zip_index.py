"""The directory of a zip archive, checked against the archive's own bytes before anything in it is used.

Specification: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.4. Reading is Python's `zipfile`; this module refuses
what two readers could understand in two ways: local headers that differ from the central directory, overlaps,
gaps, bytes before or after, names that meet. Only the standard library is imported.
"""

from __future__ import annotations

import os
import stat
import struct
import unicodedata
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from chassis.errors import ChassisError
from chassis.oci.layer.paths import LayerPathError, check_path

MAX_MEMBERS = 200_000
MAX_DEPTH = 100
_MAX_RATIO = 250
_MAX_UNQUESTIONED_BYTES = 2 << 30
_LOCAL = struct.Struct("<4s5H3L2H")
_LOCAL_MAGIC = b"PK\3\4"
_END = struct.Struct("<4s4H2LH")
_END_MAGIC = b"PK\5\6"
_DESCRIPTOR_MAGIC = b"PK\7\x08"
_FLAG_DESCRIPTOR = 0x8
_FLAG_UTF8 = 0x800
_FLAGS_REFUSED = 0x1 | 0x20 | 0x40 | 0x2000
_IN_ZIP64_EXTRA = 0xFFFFFFFF


class ZipError(ChassisError):
    """An archive is damaged, ambiguous or made to harm."""


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A file in the archive.

    `offset` is that of its stored data from the archive's start; `stored_size` and `size` are the lengths in
    bytes before and after inflating; `deflated` is false if it is stored plain; `executable` tells of any
    executable bit.
    """

    name: str
    offset: int
    stored_size: int
    size: int
    crc: int
    deflated: bool
    executable: bool


class ZipIndex:
    """The files of an open archive in the order of their data."""

    def __init__(self, path: Path) -> None:
        """Opens and checks an archive.

        Raises:
          ZipError: it is not a zip archive, or one that is refused; the message names the member.
        """
        try:
            self.stream: BinaryIO = path.open("rb")
        except OSError as error:
            raise ZipError(f"cannot be read: {error.strerror}") from None
        try:
            self.members = _read(self.stream)
        except BaseException:
            self.stream.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()


def _read(stream: BinaryIO) -> tuple[ZipMember, ...]:
    try:
        with zipfile.ZipFile(stream) as archive:
            infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
            directory_start, comment = archive.start_dir, archive.comment
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        ValueError,
        struct.error,
        EOFError,
        OverflowError,
    ) as error:
        raise ZipError(f"is not a whole zip archive: {error}") from None
    except OSError as error:
        raise ZipError(f"is not a whole zip archive: {error.strerror or error}") from None
    _check_end(stream, comment, len(infos))
    if len(infos) > MAX_MEMBERS:
        raise ZipError(f"has {len(infos)} members; at most {MAX_MEMBERS} are taken")
    members, position = [], 0
    for index, info in enumerate(infos):
        _check_entry(info)
        if info.header_offset != position:
            raise ZipError(_misplaced(info, position))
        following = infos[index + 1].header_offset if index + 1 < len(infos) else directory_start
        data = _check_local_header(stream, info)
        position = _data_end(stream, info, data, following)
        if not info.is_dir():
            mode = info.external_attr >> 16
            executable = bool(mode & 0o111) and (stat.S_ISREG(mode) or not stat.S_IFMT(mode))
            deflated = info.compress_type == zipfile.ZIP_DEFLATED
            members.append(
                ZipMember(info.filename, data, info.compress_size, info.file_size, info.CRC, deflated, executable)
            )
    if position != directory_start:
        raise ZipError(f"has {directory_start - position} bytes that belong to no member before its directory")
    _check_names(members)
    _check_ratio(members)
    return tuple(members)


def _check_end(stream: BinaryIO, comment: bytes, members: int) -> None:
    size = stream.seek(0, 2)
    if size < _END.size + len(comment):
        raise ZipError("is not a whole zip archive: too short")
    stream.seek(size - _END.size - len(comment))
    magic, _, _, _, count, _, _, comment_size = _END.unpack(stream.read(_END.size))
    if magic != _END_MAGIC or comment_size != len(comment) or _END_MAGIC in comment:
        raise ZipError("has bytes after its end record, or two end records")
    if count not in (members & 0xFFFF, 0xFFFF):
        raise ZipError(f"has {members} members, its end record states {count}")


def _check_entry(info: zipfile.ZipInfo) -> None:
    name = info.orig_filename
    if not name or not info.filename:
        raise ZipError("a member has an empty name")
    if name != info.filename:
        raise ZipError(f"member {name!r} holds a NUL, or goes by two names")
    if "\\" in name:
        raise ZipError(f"member {name!r} has a backslash in its name")
    try:
        check_path(name[:-1] if info.is_dir() else name)
    except LayerPathError as error:
        raise ZipError(f"member {error}") from None
    if name.count("/") > MAX_DEPTH:
        raise ZipError(f"member {name[:80]!r}… lies {name.count('/')} directories deep; at most {MAX_DEPTH} are taken")
    if info.flag_bits & _FLAGS_REFUSED:
        raise ZipError(f"member {name!r} is encrypted or patched")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ZipError(
            f"member {name!r} has compression method {info.compress_type}; taken are 0 (stored) and 8 (deflate)"
        )
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or ((kind == stat.S_IFDIR) != info.is_dir() and kind):
        raise ZipError(f"member {name!r} is marked as a link, a device or another kind than its name tells")
    if info.is_dir() and (info.file_size or info.compress_size > 2):
        raise ZipError(f"directory {name!r} has content")


def _misplaced(info: zipfile.ZipInfo, position: int) -> str:
    if info.header_offset < position:
        return f"member {info.filename!r} overlaps the one before it"
    return f"has {info.header_offset - position} bytes that belong to no member before {info.filename!r}"


def _check_local_header(stream: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Compares a local header with the directory and returns the offset of the data."""
    # One read takes most headers whole; the rest of a long extra field is read for itself.
    start = info.header_offset
    data = os.pread(stream.fileno(), _LOCAL.size + 4 * len(info.filename) + 64, start)
    if len(data) < _LOCAL.size or not data.startswith(_LOCAL_MAGIC):
        raise ZipError(f"member {info.filename!r} has no local header where the directory says")
    _, _, flags, method, _, _, crc, stored_size, size, name_size, extra_size = _LOCAL.unpack_from(data)
    length: int = _LOCAL.size + name_size + extra_size
    if len(data) < length:
        data = os.pread(stream.fileno(), length, start)
    if len(data) < length:
        raise ZipError(f"member {info.filename!r} is truncated in its local header")
    name, extra = data[_LOCAL.size : _LOCAL.size + name_size], data[_LOCAL.size + name_size : length]
    # `zipfile` reads names as cp437 unless flagged; for ASCII the two are one.
    encoding = "cp437" if not info.flag_bits & _FLAG_UTF8 and not info.filename.isascii() else "utf-8"
    if name != info.filename.encode(encoding):
        raise ZipError(f"member {info.filename!r} has the name {name!r} in its local header")
    if method != info.compress_type or (flags ^ info.flag_bits) & (_FLAGS_REFUSED | _FLAG_DESCRIPTOR | _FLAG_UTF8):
        raise ZipError(f"member {info.filename!r} has another method or other flags in its local header")
    if _IN_ZIP64_EXTRA in (stored_size, size):
        size, stored_size = _zip64_sizes(extra, size, stored_size)
    stated = (crc, stored_size, size)
    unstated = info.flag_bits & _FLAG_DESCRIPTOR and crc == 0 and stored_size == 0 and size == 0
    if stated != (info.CRC, info.compress_size, info.file_size) and not unstated:
        raise ZipError(f"member {info.filename!r} has another size or CRC-32 in its local header")
    return start + length


def _zip64_sizes(extra: bytes, size: int, stored_size: int) -> tuple[int, int]:
    """The sizes of a local header whose 32-bit fields are full (APPNOTE 4.5.3)."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        values = extra[position + 4 : position + 4 + length]
        if kind == 1:
            numbers = [value for (value,) in struct.iter_unpack("<Q", values[: len(values) // 8 * 8])]
            if size == _IN_ZIP64_EXTRA and numbers:
                size = numbers.pop(0)
            if stored_size == _IN_ZIP64_EXTRA and numbers:
                stored_size = numbers.pop(0)
            break
        position += 4 + length
    return size, stored_size


def _data_end(stream: BinaryIO, info: zipfile.ZipInfo, data: int, following: int) -> int:
    """Where the member ends: after its data, or after the descriptor that follows them (APPNOTE 4.3.9)."""
    end = data + info.compress_size
    if end > following:
        raise ZipError(f"member {info.filename!r} overlaps the one after it")
    if not info.flag_bits & _FLAG_DESCRIPTOR or end == following:
        return end
    stream.seek(end)
    found = stream.read(min(following - end, 24))
    for form in ("<LLL", "<LQQ"):
        body = struct.pack(form, info.CRC, *_fitting(form, info.compress_size, info.file_size))
        for descriptor in (_DESCRIPTOR_MAGIC + body, body):
            if found == descriptor:
                return following
    raise ZipError(f"member {info.filename!r} has a data descriptor that differs from the directory")


def _fitting(form: str, *sizes: int) -> tuple[int, ...]:
    return sizes if "Q" in form else tuple(size & 0xFFFFFFFF for size in sizes)


def _check_names(members: list[ZipMember]) -> None:
    seen: set[str] = set()
    for member in members:
        if member.name in seen:
            raise ZipError(f"member {member.name!r} is there twice")
        seen.add(member.name)
    alike: dict[str, str] = {}
    for name in seen:
        # Upper and lower case are two files on Linux, and pip takes both.
        key = name if name.isascii() else unicodedata.normalize("NFKC", name)
        if (other := alike.setdefault(key, name)) != name:
            first, second = sorted((name, other))
            raise ZipError(f"members {first!r} and {second!r} differ only by Unicode form")


def _check_ratio(members: list[ZipMember]) -> None:
    size, stored_size = sum(member.size for member in members), sum(member.stored_size for member in members)
    if size > max(_MAX_UNQUESTIONED_BYTES, stored_size * _MAX_RATIO):
        raise ZipError(f"holds {stored_size} bytes that inflate to {size}: a decompression bomb")

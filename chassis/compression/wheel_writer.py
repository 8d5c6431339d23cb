"""A wheel from files in memory, the same bytes for the same files.

Binary distribution format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/; zip:
PKWARE APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory) and 4.3.16 (its end). Python's
`zipfile` compresses with the zlib that its interpreter is linked with, and takes no stream that is compressed already.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chassis.compression.compressor import deflated
from chassis.errors import ChassisError

_VERSION = 20
_UNIX = 3
_UTF8_NAME = 1 << 11
_STORED, _DEFLATED = 0, 8
_FIRST_DATE = 0x0021  # 1980-01-01, the first that the format knows
_REGULAR = 0o100000
_MOST_FILES, _MOST_BYTES = 0xFFFF, 0xFFFFFFFF
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sBBHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")


class WheelTooLargeError(ChassisError):
    """A wheel of more files or bytes than a zip archive without extensions has."""


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A file of a wheel."""

    content: bytes
    executable: bool = False


def write_wheel(output: Path, files: Mapping[str, WheelFile], dist_info: str) -> None:
    """Writes `files` in the order of their names, those of the directory `dist_info` last, and a RECORD of them all.

    Raises:
      WheelTooLargeError: there are over 65,534 files, or 2 GiB of them.
    """
    record = f"{dist_info}/RECORD"
    names = sorted(files.keys() - {record}, key=lambda name: (name.startswith(f"{dist_info}/"), name))
    rows = [f"{_quoted(name)},sha256={_digest(files[name].content)},{len(files[name].content)}\n" for name in names]
    last = WheelFile("".join([*rows, f"{record},,\n"]).encode())
    if len(names) >= _MOST_FILES or sum(len(file.content) for file in files.values()) > _MOST_BYTES // 2:
        raise WheelTooLargeError(f"{output.name}: {len(names)} files, or more than 2 GiB of them, do not fit a wheel")
    directory = bytearray()
    with output.open("wb") as stream:
        offset = 0
        for name, file in [*((name, files[name]) for name in names), (record, last)]:
            local, central = _headers(name, file, offset)
            directory += central
            offset += stream.write(local)
        stream.write(directory)
        count = len(names) + 1
        stream.write(_END.pack(b"PK\5\6", 0, 0, count, count, len(directory), offset, 0))


def _headers(name: str, file: WheelFile, offset: int) -> tuple[bytes, bytes]:
    """The file with its local header, and its entry in the directory."""
    encoded = name.encode()
    flags = 0 if name.isascii() else _UTF8_NAME
    data, method = bytes(deflated(file.content)), _DEFLATED
    if len(data) >= len(file.content):
        data, method = file.content, _STORED
    mode = _REGULAR | (0o755 if file.executable else 0o644)
    sizes = zlib.crc32(file.content), len(data), len(file.content), len(encoded)
    local = _LOCAL.pack(b"PK\3\4", _VERSION, flags, method, 0, _FIRST_DATE, *sizes, 0)
    central = _CENTRAL.pack(
        b"PK\1\2", _VERSION, _UNIX, _VERSION, flags, method, 0, _FIRST_DATE, *sizes, 0, 0, 0, 0, mode << 16, offset
    )
    return local + encoded + data, central + encoded


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if "," in name or '"' in name else name

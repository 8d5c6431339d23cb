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
from pathlib import Path

from chassis.compression.compressor import deflated
from chassis.errors import ChassisError
from chassis.file_mode import mode_of

_VERSION = 20
_UNIX = 3
_UTF8_NAME = 1 << 11
_STORED, _DEFLATED = 0, 8
_FIRST_DATE = 0x0021  # 1980-01-01, the first that the format knows
_REGULAR = 0o100000
_MAX_FILES, _MAX_BYTES = 0xFFFF, 0xFFFFFFFF
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sBBHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")


class WheelTooLargeError(ChassisError):
    """A wheel of more files or bytes than a zip archive without extensions has."""


def write_wheel(output: Path, files: Mapping[str, bytes], dist_info: str) -> None:
    """Writes `files` in the order of their names, those of the directory `dist_info` last, and a RECORD of them all.

    A file that starts as an executable does has the mode 0755, every other 0644 (`chassis.file_mode`).

    Raises:
      WheelTooLargeError: there are over 65,534 files, or 2 GiB of them.
    """
    record = f"{dist_info}/RECORD"
    names = sorted(files.keys() - {record}, key=lambda name: (name.startswith(f"{dist_info}/"), name))
    rows = [f"{_quoted(name)},sha256={_digest(files[name])},{len(files[name])}\n" for name in names]
    last = "".join([*rows, f"{record},,\n"]).encode()
    if len(names) >= _MAX_FILES or sum(map(len, files.values())) > _MAX_BYTES // 2:
        raise WheelTooLargeError(f"{output.name}: {len(names)} files, or more than 2 GiB of them, do not fit a wheel")
    directory = bytearray()
    with output.open("wb") as stream:
        offset = 0
        for name, content in [*((name, files[name]) for name in names), (record, last)]:
            local, central = _headers(name, content, offset)
            directory += central
            offset += stream.write(local)
        stream.write(directory)
        count = len(names) + 1
        stream.write(_END.pack(b"PK\5\6", 0, 0, count, count, len(directory), offset, 0))


def _headers(name: str, content: bytes, offset: int) -> tuple[bytes, bytes]:
    """The file with its local header, and its entry in the directory."""
    encoded = name.encode()
    flags = 0 if name.isascii() else _UTF8_NAME
    data, method = bytes(deflated(content)), _DEFLATED
    if len(data) >= len(content):
        data, method = content, _STORED
    mode = _REGULAR | mode_of(content)
    sizes = zlib.crc32(content), len(data), len(content), len(encoded)
    local = _LOCAL.pack(b"PK\3\4", _VERSION, flags, method, 0, _FIRST_DATE, *sizes, 0)
    central = _CENTRAL.pack(
        b"PK\1\2", _VERSION, _UNIX, _VERSION, flags, method, 0, _FIRST_DATE, *sizes, 0, 0, 0, 0, mode << 16, offset
    )
    return local + encoded + data, central + encoded


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if "," in name or '"' in name else name

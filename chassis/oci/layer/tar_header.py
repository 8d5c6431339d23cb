"""Tar headers: ustar blocks, with a PAX record before those that ustar's fields cannot hold.

Specification: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header". Owner names are left
empty and the modification time is always 0, so that a header depends on nothing but its arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

BLOCK = 512
END = bytes(2 * BLOCK)

REGULAR = b"0"
HARD_LINK = b"1"
SYMBOLIC_LINK = b"2"
DIRECTORY = b"5"
_PAX = b"x"

_NAME_BYTES = 100
_PREFIX_BYTES = 155
_MAX_OCTAL_SIZE = 1 << 33
_MAX_OCTAL_ID = 1 << 21
_TIME_AND_BLANK_CHECKSUM = b"00000000000\0" + b" " * 8
_PAX_NAME = b"././@PaxHeader"


@dataclass(frozen=True, slots=True)
class Owner:
    """Numeric owner of an entry."""

    uid: int = 0
    gid: int = 0


ROOT = Owner()


def padding(size: int) -> bytes:
    """The zero bytes that fill content of `size` bytes up to a whole block."""
    return bytes(-size % BLOCK)


def header(path: str, typeflag: bytes, mode: int, size: int = 0, link: str = "", owner: Owner = ROOT) -> bytes:
    """The header blocks of one entry: 512 bytes, or 1,536 and more if a PAX record is needed.

    A directory's `path` ends in a slash. `size` is in bytes, `link` the target of either kind of link.
    """
    records: list[tuple[str, str]] = []
    encoded = path.encode()
    name, prefix = _split(encoded, path.isascii())
    if not name:
        records.append(("path", path))
        name, prefix = encoded[:_NAME_BYTES], b""
    target = link.encode()
    if len(target) > _NAME_BYTES or not link.isascii():
        records.append(("linkpath", link))
        target = target[:_NAME_BYTES]
    stated_size, stated_owner = size, owner
    if size >= _MAX_OCTAL_SIZE:
        records.append(("size", str(size)))
        stated_size = 0
    if max(owner.uid, owner.gid) >= _MAX_OCTAL_ID:
        records += [("uid", str(owner.uid)), ("gid", str(owner.gid))]
        stated_owner = ROOT
    block = _block(name, prefix, typeflag, mode, stated_size, target, stated_owner)
    if not records:
        return block
    body = b"".join(_record(key, value) for key, value in records)
    pax = _block(_PAX_NAME, b"", _PAX, 0o644, len(body), b"", ROOT)
    return pax + body + padding(len(body)) + block


def _block(name: bytes, prefix: bytes, typeflag: bytes, mode: int, size: int, target: bytes, owner: Owner) -> bytes:
    numbers = b"%07o\0%07o\0%07o\0%011o\0" % (mode, owner.uid, owner.gid, size)
    after, after_sum = _after_checksum(typeflag, target, prefix)
    checksum = sum(name) + sum(numbers) + after_sum
    return b"%s%s00000000000\0%06o\0 %s" % (name.ljust(_NAME_BYTES, b"\0"), numbers, checksum, after)


@lru_cache(maxsize=256)
def _after_checksum(typeflag: bytes, target: bytes, prefix: bytes) -> tuple[bytes, int]:
    """What follows a header's checksum, the same for most files, and the sum of all but name and numbers."""
    after = typeflag + target.ljust(_NAME_BYTES, b"\0") + b"ustar\x0000" + bytes(80) + prefix
    after = after.ljust(356, b"\0")
    return after, sum(_TIME_AND_BLANK_CHECKSUM) + sum(after)


def _split(encoded: bytes, is_ascii: bool) -> tuple[bytes, bytes]:
    """Name and prefix fields for a path, or two empty strings if they cannot hold it."""
    if not is_ascii:
        return b"", b""
    if len(encoded) <= _NAME_BYTES:
        return encoded, b""
    # The prefix ends at a slash that is not the path's last byte (a directory's own).
    cut = encoded.find(b"/", len(encoded) - _NAME_BYTES - 1, len(encoded) - 1)
    if cut <= 0 or cut > _PREFIX_BYTES:
        return b"", b""
    return encoded[cut + 1 :], encoded[:cut]


def _record(key: str, value: str) -> bytes:
    """One PAX record, `<length> key=value\\n`, whose length counts its own digits."""
    body = f" {key}={value}\n".encode()
    length = len(body)
    while length != len(body) + len(str(length)):
        length = len(body) + len(str(length))
    return str(length).encode() + body

"""Reads /etc/ld.so.cache, which says where the loader finds libraries beside its default directories.

Format: glibc, sysdeps/generic/dl-cache.h (`struct cache_file_new`), in either byte order's little-endian form.
"""

from __future__ import annotations

import struct

_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = struct.Struct("<20sIIB3xI3I")
_ENTRY = struct.Struct("<iIIIQ")
_MAX_ENTRIES = 100_000


def read_ld_cache(data: bytes) -> tuple[tuple[str, str], ...]:
    """Pairs of a library's name and its absolute path, in the loader's order; none if the file is damaged."""
    # An old-format cache may come first, padded to eight bytes; the new one's offsets count from its own beginning.
    start = data.find(_MAGIC)
    if start < 0 or len(data) < start + _HEADER.size:
        return ()
    data = data[start:]
    count = _HEADER.unpack_from(data)[1]
    if count > _MAX_ENTRIES or len(data) < _HEADER.size + count * _ENTRY.size:
        return ()
    found = []
    for number in range(count):
        _, key, value, _, hwcap = _ENTRY.unpack_from(data, _HEADER.size + number * _ENTRY.size)
        if hwcap == 0:  # the others are for processors with more than the least that the platform stands for
            found.append((_text(data, key), _text(data, value)))
    return tuple(found)


def _text(data: bytes, offset: int) -> str:
    return data[offset : data.find(b"\0", offset)].decode("utf-8", "backslashreplace")

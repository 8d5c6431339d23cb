"""The loader's cache, as ldconfig writes it."""

from __future__ import annotations

import struct

import pytest

from chassis.doctor.ld_cache import read_ld_cache


def _cache(entries: list[tuple[str, str, int]]) -> bytes:
    strings, rows = b"", b""
    start = 48 + 24 * len(entries)
    for name, path, hwcap in entries:
        key, value = start + len(strings), start + len(strings) + len(name) + 1
        strings += name.encode() + b"\0" + path.encode() + b"\0"
        rows += struct.pack("<iIIIQ", 0xA03, key, value, 0, hwcap)
    return (
        struct.pack("<20sIIB3xI3I", b"glibc-ld.so.cache1.1", len(entries), len(strings), 2, 0, 0, 0, 0) + rows + strings
    )


_ENTRIES = [("libx.so.1", "/usr/local/lib/libx.so.1", 0), ("libx.so.1", "/usr/lib/haswell/libx.so.1", 1 << 62)]


def test_entries_for_every_cpu_are_found() -> None:
    assert read_ld_cache(_cache(_ENTRIES)) == (("libx.so.1", "/usr/local/lib/libx.so.1"),)


def test_cache_of_the_old_form_may_come_first() -> None:
    old = b"ld.so-1.7.0\0" + struct.pack("<I", 1) + bytes(12) + bytes(4)
    assert read_ld_cache(old + _cache(_ENTRIES)) == (("libx.so.1", "/usr/local/lib/libx.so.1"),)


@pytest.mark.parametrize("length", [0, 5, 30, 50, 80])
def test_cache_cut_short_holds_nothing(length: int) -> None:
    assert read_ld_cache(_cache(_ENTRIES)[:length]) == ()


def test_count_that_lies_holds_nothing() -> None:
    data = bytearray(_cache(_ENTRIES))
    struct.pack_into("<I", data, 20, 1 << 31)
    assert read_ld_cache(bytes(data)) == ()

"""Tests of compressor.py; `//tests/compression` has those of other processors."""

from __future__ import annotations

import hashlib
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from chassis.compression.compressor import deflated

_SIZES = (0, 1, 2, 7, 50, 51, 512, 4999, 10_001, 65_535, 300_001)


def _content(size: int) -> bytes:
    noise = hashlib.shake_128(b"chassis").digest(size // 3 + 1)
    return b"".join(b"%c %d\n" % (byte, position % 97) for position, byte in enumerate(noise))[:size]


@pytest.mark.parametrize("size", _SIZES)
def test_zlib_inflates_it(size: int) -> None:
    content = _content(size)
    stream = zlib.decompressobj(-15)
    assert stream.decompress(deflated(content)) == content
    assert stream.eof and not stream.unused_data


@pytest.mark.parametrize("size", _SIZES)
def test_where_the_content_lies_makes_no_difference(size: int) -> None:
    content = _content(size)
    expected = deflated(content)
    for before in range(1, 18):
        shifted = memoryview(b"\xa5" * before + content + b"\x5a" * before)[before : before + size]
        assert deflated(shifted) == expected


def test_what_was_compressed_before_or_elsewhere_makes_no_difference() -> None:
    contents = [_content(size) for size in _SIZES]
    expected = [deflated(content) for content in contents]
    assert [deflated(content) for content in reversed(contents)] == expected[::-1]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(deflated, contents * 20)) == expected * 20

"""Deflate streams that are cut open before their end, so that others can follow."""

from __future__ import annotations

import random
import zlib

import pytest

from chassis.oci.layer.deflate_source import unended

_MORE = b"what follows " * 9


def _deflated(data: bytes, level: int, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    stream = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY])
@pytest.mark.parametrize("level", [1, 6, 9])
def test_another_stream_can_follow_at_every_bit_that_a_block_may_end_at(level, strategy):
    rng = random.Random(level)
    added = set()
    for length in [*range(1, 200), 4000, 12_000]:
        data = bytes(rng.choice(b"abcdefgh \n") for _ in range(length))
        stored = _deflated(data, level, strategy)
        opened = unended(stored, length)
        assert opened is not None
        added.add(len(opened) - len(stored))
        assert zlib.decompress(opened + _deflated(_MORE, 6), -15) == data + _MORE
    assert added == {4, 5}


def test_streams_of_several_blocks_and_stored_ones_are_left_alone_or_opened_rightly():
    noise = random.Random(1).randbytes(50_000)
    stream = zlib.compressobj(6, zlib.DEFLATED, -15)
    several = stream.compress(noise[:100]) + stream.flush(zlib.Z_FULL_FLUSH) + stream.compress(b"x") + stream.flush()
    assert unended(several, 101) is None
    opened = unended(_deflated(noise, 0), len(noise))
    assert opened is None or zlib.decompress(opened + _deflated(_MORE, 6), -15) == noise + _MORE


def test_what_is_no_whole_stream_is_left_alone():
    stored = _deflated(b"some text, some text " * 20, 6)
    assert unended(stored + b"tail", 420) is None
    assert unended(stored, 419) is None
    assert unended(b"\xff\xff\xff", 1) is None

"""Contents of the kinds that layers have, made from hashes: the same on every machine and with every Python."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

_WORDS = (
    b"def return self import from class raise yield None True False for in if not else elif while with as try except "
    b"str int bytes path name value size data layer wheel model index item error result config stream file open read"
)


def noise(name: str, size: int) -> bytes:
    """`size` bytes that depend on `name` and do not compress."""
    return hashlib.shake_128(name.encode()).digest(size)


def source(name: str, size: int) -> bytes:
    """Something like a program's text."""
    choices, known = noise(name, size // 4 + 64), _WORDS.split()
    parts = [
        known[choice % len(known)] + (b"\n    " if choice > 220 else b"(" if choice > 180 else b" ")
        for choice in choices
    ]
    return b"".join(parts)[:size]


def table(name: str, size: int) -> bytes:
    """Something like the sections of a program: numbers that grow by little."""
    steps, total, parts = noise(name, size // 8 + 1), 0, []
    for step in steps:
        total += step * 16
        parts.append(struct.pack("<II", total & 0xFFFFFFFF, step % 5))
    return b"".join(parts)[:size]


def weights(name: str, size: int) -> bytes:
    """Something like a model's numbers: one byte in four repeats."""
    drawn = noise(name, size)
    return b"".join(drawn[at : at + 3] + bytes((60 + drawn[at] % 4,)) for at in range(0, size, 4))[:size]


def distant(name: str, distance: int, size: int) -> bytes:
    """Noise that repeats itself after `distance` bytes: at deflate's reach of 32,768 and beyond it."""
    part = noise(name, distance)
    return (part * (size // distance + 1))[:size]


def vectors() -> Iterator[tuple[str, bytes]]:
    """Names and contents: short ones of every length, then each kind in sizes about the compressor's own limits."""
    for size in [*range(80), 127, 128, 255, 256, 257, 258, 259, 511, 512, 1023, 1536]:
        yield f"source {size}", source("short", size)
        yield f"zeros {size}", bytes(size)
    for size in (4095, 4999, 5000, 9_999, 10_001, 65_534, 65_536, 150_001):
        yield f"source {size}", source(f"source {size}", size)
        yield f"table {size}", table(f"table {size}", size)
    for size in (5000, 65_535, 65_537):
        yield f"noise {size}", noise(f"noise {size}", size)
        yield f"weights {size}", weights(f"weights {size}", size)
        yield f"zeros {size}", bytes(size)
    for distance in (1, 3, 258, 32_766, 32_767, 32_768, 32_769):
        yield f"distant {distance}", distant(f"distant {distance}", distance, 80_000)
    # Longer than the 300,000 bytes at which a block ends in any case.
    yield "long", source("long", 310_000)
    yield "changing", b"".join(kind("changing", 20_000) for kind in (source, noise, table, weights) for _ in range(2))

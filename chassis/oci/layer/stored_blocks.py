"""Deflate blocks that hold their content as it is (RFC 1951, section 3.2.4)."""

from __future__ import annotations

import struct

STORED_END = bytes.fromhex("010000ffff")
"""An empty block that ends a stream."""

_MAX_BYTES = 65535


def stored_blocks(data: bytes, final: bool = False) -> bytes:
    """`data` as blocks of type 0, each of at most 65,535 bytes; `final` marks the last as the stream's end."""
    view = memoryview(data)
    parts: list[bytes | memoryview] = []
    for start in range(0, len(view), _MAX_BYTES):
        block = view[start : start + _MAX_BYTES]
        last = final and start + len(block) == len(view)
        parts += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    return b"".join(parts)

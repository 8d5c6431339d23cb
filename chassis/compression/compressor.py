"""The compressor: raw deflate streams (RFC 1951) whose bytes depend on their content, and on nothing else.

A digest is shared by machines, caches and registries, so the compressor must not see more than its input. libdeflate
takes a whole content at once and keeps nothing from call to call; it decides with integers alone, and its code for
particular processors is in checksums and in the upkeep of its tables, not in what it chooses. So the stream is the same
in every run and on every processor, as `//tests/compression` checks for those of both machines.

The version counts: another libdeflate may choose otherwise. It is pinned in the lock of the tools, inside the package
`deflate`, which brings its own copy for each machine.
"""

from __future__ import annotations

from deflate import deflate_compress

LEVEL = 6

MEMBER_BYTES = 4 << 20
"""The most that is given to the compressor at once, in bytes, if a content may be cut: it holds input and output in
memory."""


def deflated(content: bytes) -> bytes | bytearray:
    """`content` as a deflate stream."""
    stream: bytes | bytearray = deflate_compress(content, LEVEL)
    return stream

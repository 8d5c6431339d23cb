"""A large content as gzip members of bounded size, deflated by several threads and in order.

The compressor takes a whole member at once and lets other threads run meanwhile. Which thread takes which member makes
no difference to its bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from isal import isal_zlib

from chassis.compression.compressor import deflated
from chassis.oci.layer.hashing import Hash
from chassis.oci.layer.stored_blocks import stored_blocks

_MAX_THREADS = 4
_WAITING_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class CutMember:
    """A part of a content: its deflate stream, its CRC-32, its size in bytes and its hash."""

    stream: bytes | bytearray
    crc: int
    size: int
    state: Hash


def cut_members(parts: Iterable[bytes], size: int, store: bool) -> Iterator[CutMember]:
    """The members of `parts`, each of `size` bytes but the last; `store` says that compressing them is not worth it.

    Memory: a few parts and their streams, at most 64 MiB of either if a part is smaller than that.
    """
    threads = min(_MAX_THREADS, len(os.sched_getaffinity(0)))
    most_waiting = min(threads + 1, max(1, _WAITING_BYTES // size)) - 1
    waiting: deque[Future[CutMember]] = deque()
    with ThreadPoolExecutor(threads, "layer-members") as pool:
        for part in parts:
            waiting.append(pool.submit(_member, part, store))
            del part
            while len(waiting) > most_waiting:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _member(part: bytes, store: bool) -> CutMember:
    stream = stored_blocks(part, final=True) if store else deflated(part)
    return CutMember(stream, isal_zlib.crc32(part), len(part), hashlib.sha256(part))

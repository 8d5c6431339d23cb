"""Compresses members of a corpus by their numbers, and prints a digest of each block of a thousand.

`python -m tests.compression.members CORPUS COMPRESSOR SEED FIRST LAST MODE`, the blocks from FIRST to before LAST. In
the mode `quiet` one member follows the other. In the mode `noisy` each block is compressed backwards by a thread of its
own, from an address that is aligned to nothing, while others are at work and the heap holds what chance left there.
"""

from __future__ import annotations

import hashlib
import random
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from chassis.compression.compressor import deflated

BLOCK = 1000
_THREADS = 3
_MIN_BITS, _MAX_BITS = 3, 15
_NOISE_BYTES = (100, 5_000, 70_000, 200_000, 600_000)
_KEPT = 20


def compressor(name: str) -> Callable[[memoryview], bytes | bytearray]:
    """The compressor of this project, or ISA-L, to see what a campaign finds."""
    if name == "isal":
        from isal import isal_zlib

        return lambda content: isal_zlib.compress(content, 2, -15)
    return deflated


def place(seed: str, number: int, size: int) -> tuple[int, int]:
    """Where the member lies in a corpus of `size` bytes, and how long it is: short ones are as frequent as long."""
    drawn = hashlib.blake2b(f"{seed} {number}".encode(), digest_size=16).digest()
    bits = _MIN_BITS + drawn[0] % (_MAX_BITS - _MIN_BITS)
    length = (1 << bits) + int.from_bytes(drawn[1:4]) % (1 << bits)
    return int.from_bytes(drawn[4:12]) % (size - length), length


class Compression:
    """The corpus and the compressor."""

    def __init__(self, corpus: bytes, name: str, seed: str) -> None:
        self._corpus = corpus
        self._compress = compressor(name)
        self._seed = seed

    def member(self, number: int, before: int = 0) -> bytes | bytearray:
        """The stream of a member, whose content is copied to behind `before` bytes."""
        start, length = place(self._seed, number, len(self._corpus))
        content = bytes(before) + self._corpus[start : start + length]
        return self._compress(memoryview(content)[before:])

    def quiet(self, block: int) -> str:
        """The digest of a block."""
        return _digest(map(self.member, range(block * BLOCK, (block + 1) * BLOCK)))

    def noisy(self, block: int) -> str:
        """The same of streams that were made backwards."""
        chance, kept = random.Random(), []
        streams = []
        for number in reversed(range(block * BLOCK, (block + 1) * BLOCK)):
            if number % 5 == 0:
                size = chance.choice(_NOISE_BYTES)
                start = chance.randrange(len(self._corpus) - size)
                kept.append(bytearray(self._corpus[start : start + size]))
                del kept[: chance.randrange(_KEPT) if len(kept) > _KEPT else 0]
            streams.append(self.member(number, chance.randrange(64)))
        return _digest(reversed(streams))

    def noisy_blocks(self, first: int, last: int) -> list[str]:
        """The digests of several blocks, each by a new thread."""
        found: dict[int, str] = {}

        def work(block: int) -> None:
            found[block] = self.noisy(block)

        for start in range(first, last, _THREADS):
            threads = [threading.Thread(target=work, args=(n,)) for n in range(start, min(start + _THREADS, last))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return [found[block] for block in range(first, last)]


def _digest(streams: Iterator[bytes | bytearray]) -> str:
    state = hashlib.sha256()
    for stream in streams:
        state.update(len(stream).to_bytes(4, "little"))
        state.update(stream)
    return state.hexdigest()


def main(corpus: str, name: str, seed: str, first: str, last: str, mode: str) -> None:
    """Prints a line for each block."""
    compression = Compression(Path(corpus).read_bytes(), name, seed)
    if mode == "noisy":
        print("\n".join(compression.noisy_blocks(int(first), int(last))))
    else:
        print("\n".join(map(compression.quiet, range(int(first), int(last)))))


if __name__ == "__main__":
    main(*sys.argv[1:])

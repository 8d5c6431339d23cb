"""Inputs of chance: what is right, damaged; the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence

_MAX_CHANGES = 8
_NUMBERS = (b"0", b"-1", b"1", b"4096", b"65536", b"2147483648", b"18446744073709551616", b"9" * 400, b"1e9", b"0x10")
_LINES = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b"\r\n\r\n",
    b"\xff",
    b"\xed\xa0\x80",
    "\u202e".encode(),
    b"%00",
    b"%2e",
)


class Mutation:
    """Makes inputs of `samples`, with `words` that mean something to who reads them."""

    def __init__(self, samples: Sequence[bytes], words: Sequence[bytes] = ()) -> None:
        self._samples = samples
        self._words = (*words, *_NUMBERS, *_LINES)

    def make(self, chance: random.Random) -> bytes:
        """One input."""
        data = bytearray(chance.choice(self._samples))
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3, _MAX_CHANGES))):
            self._change(data, chance)
        return bytes(data)

    def _change(self, data: bytearray, chance: random.Random) -> None:
        begin = chance.randint(0, len(data))
        end = min(len(data), begin + chance.choice((0, 1, 1, 2, 4, 16, 200)))
        match chance.randrange(8):
            case 0 | 1:
                data[begin:end] = chance.choice(self._words)
            case 2:
                data[begin:end] = chance.randbytes(end - begin)
            case 3:
                del data[begin:end]
            case 4:
                data[begin:begin] = data[begin:end] * chance.choice((1, 2, 50))
            case 5:
                other = chance.choice(self._samples)
                cut = chance.randint(0, len(other))
                data[begin:] = other[cut:]
            case 6:
                del data[begin:]
            case _:
                self._swap_word(data, chance)

    def _swap_word(self, data: bytearray, chance: random.Random) -> None:
        """Puts one word in the place of another that is there."""
        there = [word for word in self._words if word in data]
        if there:
            word = chance.choice(there)
            begin = data.index(word)
            data[begin : begin + len(word)] = chance.choice(self._words)

"""A file that can only be read from its beginning, read at any place all the same, in bounded memory.

An ELF file's tables lie at both of its ends: what the loader needs is mostly in its first megabytes, the table that
says where is behind the code. Keeping hundreds of megabytes of code, in memory or on a disk, would cost more than all
the rest.
"""

from __future__ import annotations

import io
from collections.abc import Callable

from chassis.errors import ChassisError

Read = Callable[[int], bytes]

_PIECE_BYTES = 1 << 20
_KEPT_BYTES = 32 << 20
_MAX_RESTARTS = 16  # A file whose tables are where linkers and patchelf put them needs three at most.


class RewoundError(ChassisError):
    """A file is read to and fro more often than any sound one is."""


class Rewound:
    """A file of `size` bytes; `again()` gives a function that reads it from its beginning, as often as wanted.

    The first `kept` bytes stay in memory, and so does the piece that was read last. What lies between is read again.
    """

    def __init__(self, again: Callable[[], Read], size: int, kept: int = _KEPT_BYTES) -> None:
        self._again = again
        self._size = size
        self._most_kept = kept
        self._kept = bytearray()
        self._read_on = again()
        self._piece = b""
        self._end = 0  # of the piece, and of what was read so far
        self._restarts = 0
        self._position = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As a file's."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """As a file's."""
        return self._position

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end.

        Raises:
          RewoundError: it has been read to and fro too often.
        """
        start, stop = self._position, min(self._position + size, self._size)
        parts = []
        while start < stop:
            part = self._at(start, stop)
            if not part:
                break
            parts.append(part)
            start += len(part)
        self._position = start
        return b"".join(parts)

    def _at(self, start: int, stop: int) -> bytes:
        """Some bytes from `start` on, none past `stop`, none at all only at the end."""
        if start < len(self._kept):
            return bytes(self._kept[start:stop])
        if start < self._end - len(self._piece):
            if self._restarts == _MAX_RESTARTS:
                raise RewoundError("its tables point to and fro all over it")
            self._restarts += 1
            self._read_on, self._end = self._again(), 0
            self._advance()
        while start >= self._end:
            if not self._advance():
                return b""
        offset = start - (self._end - len(self._piece))
        return self._piece[offset : offset + stop - start]

    def _advance(self) -> bool:
        self._piece = self._read_on(_PIECE_BYTES)
        if self._end == len(self._kept):
            self._kept += self._piece[: self._most_kept - len(self._kept)]
        self._end += len(self._piece)
        return bool(self._piece)

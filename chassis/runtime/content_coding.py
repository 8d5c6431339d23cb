"""Content codings of HTTP (RFC 9110, 8.4.1): bodies are inflated piece by piece, answers compressed if that pays."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from chassis.runtime.core.budget import Budget

if TYPE_CHECKING:
    from concurrent.futures import Executor

CODINGS = ("gzip", "deflate")
"""What this server reads and writes."""

WORTH_IT = 4096
"""Bytes of an answer below which its compression costs more than it saves."""

_PIECE = 1 << 20
_INPUT = 1 << 16
_SMALL = 4096
"""Bytes that inflate to some megabytes at most, which takes milliseconds."""

_LEVEL = 1
_SYNONYMS = {"": "", "identity": "", "gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_GZIP = 16 + zlib.MAX_WBITS


class ContentError(Exception):
    """A body that its coding cannot have made."""


class TooLargeError(Exception):
    """A body that is larger than wanted when it is inflated."""


def coding_of(headers: Mapping[str, str]) -> str | None:
    """The coding of a body with these headers, empty for none at all; None for one that is not known, or several."""
    return _SYNONYMS.get(headers.get("content-encoding", "").strip().lower())


class Inflater:
    """Inflates one body.

    Attributes:
      coding: one of `CODINGS`.
    """

    def __init__(self, coding: str) -> None:
        self.coding = coding
        self._size = 0
        self._stream = zlib.decompressobj(_GZIP if coding == "gzip" else zlib.MAX_WBITS)

    def pieces(self, content: bytes | bytearray, most: int) -> Iterator[bytes]:
        """What `content` inflates to, in pieces.

        Raises:
          ContentError: it is not of the coding.
          TooLargeError: the whole has more than `most` bytes.
        """
        if self.coding == "deflate" and content and content[0] & 0x0F != zlib.DEFLATED:
            # Some clients send the bare format, without zlib's header (RFC 9110, 8.4.1.2).
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        with memoryview(content) as view:
            for start in range(0, len(view), _INPUT):
                yield from self._feed(bytes(view[start : start + _INPUT]), most)
        if not self._stream.eof:
            raise ContentError(f"the {self.coding} content is cut off")

    def _feed(self, data: bytes, most: int) -> Iterator[bytes]:
        while True:
            if self._stream.eof:
                if not data:
                    return
                if self.coding != "gzip":
                    raise ContentError(f"there is something behind the {self.coding} content")
                self._stream = zlib.decompressobj(_GZIP)  # another member (RFC 1952, 2.2)
            try:
                piece = self._stream.decompress(data, _PIECE)
            except zlib.error:
                raise ContentError(f"the content is not {self.coding}") from None
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            self._size += len(piece)
            if self._size > most:
                raise TooLargeError(f"the content has more than {most} bytes when it is inflated")
            if piece:
                yield piece
            if not data and len(piece) < _PIECE:
                return


class ContentDecoder:
    """Inflates bodies within a budget, large ones in a thread: the event loop has others to look after."""

    def __init__(self, budget: Budget, most: int) -> None:
        """Takes the budget, and the most bytes that a body may have when it is inflated."""
        self._budget = budget
        self._most = most
        self._executor: Executor | None = None

    async def decode(self, content: bytes | bytearray, coding: str) -> tuple[bytearray, int]:
        """What `content` was before it was compressed, and how many bytes of the budget were taken for it.

        Raises:
          ContentError: it is not of the coding.
          TooLargeError: it has too many bytes.
          RequestError: the budget leaves fewer.
        """
        pieces = Inflater(coding).pieces(content, self._most)
        small = len(content) <= _SMALL
        result, taken = bytearray(), 0
        try:
            while (piece := next(pieces, None) if small else await self._next(pieces)) is not None:
                self._budget.require(len(piece), "the content, inflated,")
                self._budget.take(len(piece))
                taken += len(piece)
                result += piece
        except BaseException:
            self._budget.give(taken)
            raise
        return result, taken

    async def _next(self, pieces: Iterator[bytes]) -> bytes | None:
        if self._executor is None:
            from concurrent.futures import ThreadPoolExecutor  # here, since few callers do this

            self._executor = ThreadPoolExecutor(1, "inflate")
        return await asyncio.get_running_loop().run_in_executor(self._executor, next, pieces, None)


def preferred(accepted: str) -> str:
    """The coding that a client with this `Accept-Encoding` wants, empty for none (RFC 9110, 12.5.3)."""
    weights: dict[str, float] = {}
    for entry in accepted.lower().split(","):
        name, _, parameters = entry.partition(";")
        weights[_SYNONYMS.get(name.strip(), name.strip())] = _weight(parameters)
    best = max(CODINGS, key=lambda coding: weights.get(coding, weights.get("*", 0.0)))
    weight = weights.get(best, weights.get("*", 0.0))
    return best if weight > 0 and weight >= weights.get("", 0.0) else ""


def compress(content: bytes, coding: str) -> bytes:
    """`content` in `coding`."""
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP if coding == "gzip" else zlib.MAX_WBITS)
    return stream.compress(content) + stream.flush()


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0

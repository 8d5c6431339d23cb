"""Content codings of HTTP (RFC 9110, 8.4.1): bodies are inflated piece by piece, answers compressed where that pays."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

CODINGS = ("gzip", "deflate")
"""What this server reads and writes."""

WORTH_IT = 4096
"""Bytes of an answer below which its compression costs more than it saves."""

_PIECE = 1 << 18
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
        self._began = False
        self._stream = zlib.decompressobj(_GZIP if coding == "gzip" else zlib.MAX_WBITS)

    def feed(self, data: bytes, most: int) -> Iterator[bytes]:
        """The pieces that `data` adds.

        Raises:
          ContentError: it is not of the coding.
          TooLargeError: the whole has more than `most` bytes.
        """
        if not self._began and data:
            self._began = True
            if self.coding == "deflate" and data[0] & 0x0F != zlib.DEFLATED:
                # Some clients send the bare format, without zlib's header (RFC 9110, 8.4.1.2).
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        while True:
            if self._stream.eof:
                if not data:
                    return
                if self.coding != "gzip":
                    raise ContentError(f"there is something behind the body's {self.coding} content")
                self._stream = zlib.decompressobj(_GZIP)  # another member (RFC 1952, 2.2)
            try:
                piece = self._stream.decompress(data, _PIECE)
            except zlib.error:
                raise ContentError(f"the request's body is not {self.coding}") from None
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            self._size += len(piece)
            if self._size > most:
                raise TooLargeError
            if piece:
                yield piece
            if not data and len(piece) < _PIECE:
                return

    def complete(self) -> bool:
        """Whether the content has ended."""
        return self._stream.eof


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

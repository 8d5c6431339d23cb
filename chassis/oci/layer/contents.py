"""The content of a file on its way into a layer: in pieces of a fixed size, and samples of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from chassis.oci.layer.deflate_source import PIECE_BYTES
from chassis.oci.layer.error import LayerError

# The size from which on a content is sampled.
_SAMPLED_FROM = 1 << 20
_SAMPLE_BYTES = 1 << 16


def pieces_of(data: bytes) -> Iterator[bytes]:
    """The content in pieces."""
    return (data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES))


def pieces_from(path: str, stream: BinaryIO, size: int) -> Iterator[bytes]:
    """The content in pieces, whose size does not depend on how much a read returns: the compressor's output would.

    Raises:
      LayerError: the stream does not hold `size` bytes; `path` is in the message.
    """
    left = size
    while left:
        piece = _read_exactly(stream, min(left, PIECE_BYTES))
        if not piece:
            raise LayerError(f"{path!r}: its content ends {left} bytes early; did the file change while it was read?")
        left -= len(piece)
        yield piece
    if stream.read(1):
        raise LayerError(f"{path!r}: its content is longer than {size} bytes; did the file change while it was read?")


def regroup(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of `size`, the last one shorter."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)


def samples_of(data: bytes) -> list[bytes]:
    """Some parts of a content, spread over it; none of a small one."""
    if len(data) < _SAMPLED_FROM:
        return []
    return [data[start : start + _SAMPLE_BYTES] for start in _sample_starts(len(data))]


def samples_from(stream: BinaryIO, size: int) -> list[bytes]:
    """The same of the next `size` bytes of a stream, which stays where it is; none if it cannot go back."""
    if size < _SAMPLED_FROM or not stream.seekable():
        return []
    first, samples = stream.tell(), []
    for start in _sample_starts(size):
        stream.seek(first + start)
        samples.append(_read_exactly(stream, _SAMPLE_BYTES))
    stream.seek(first)
    return samples


def _sample_starts(size: int) -> tuple[int, ...]:
    return tuple((size - _SAMPLE_BYTES) * part // 4 for part in range(5))


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    while len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data

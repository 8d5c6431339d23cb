"""The files of a layer's blob with their content, read no further than asked.

A blob with an eStargz table of contents is read member by member, so that what nobody looks at (weights, data) is
never inflated; any other is streamed from its beginning. Specifications: OCI image specification, layer.md;
containerd/stargz-snapshotter, docs/estargz.md.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from isal import isal_zlib

from chassis.errors import ChassisError
from chassis.oci.descriptor import Descriptor, LayerFile
from chassis.oci.layer import toc
from chassis.oci.layer_stream import GZIP, CountedReader, InflatedStream, compression_of
from chassis.oci.tar_reader import DIRECTORY, FILE, HARDLINK, SPECIAL, TarReader

_STORED_BYTES = 1 << 18
_GZIP_WINDOW = 31
_MAX_TOC_BYTES = 1 << 28
_DRAIN_BYTES = 1 << 20
# Paths of eStargz itself, in every such layer.
_OF_THE_FORMAT = (toc.NAME, ".no.prefetch.landmark", ".prefetch.landmark")
_KINDS = {"reg": FILE, "dir": DIRECTORY, "symlink": "symlink", "hardlink": HARDLINK}

Read = Callable[[int], bytes]


class LayerContentError(ChassisError):
    """A layer's blob cannot be read."""


@dataclass(frozen=True, slots=True)
class LayerContent:
    """A path of a layer; its content can be read until the next path is asked for.

    `read(n)` returns at most n further bytes, none only at the end. `digest()` is that of the whole content, "" if it
    is not a file; asking for it ends the reading. `again()` gives a `read` from the beginning, if there is a way back.
    `capable` says that the file has capabilities.
    """

    file: LayerFile
    read: Read
    digest: Callable[[], str]
    again: Callable[[], Read] | None = None
    capable: bool = False


def walk_layer(blob: Path, descriptor: Descriptor, trusted: bool) -> Iterator[LayerContent]:
    """Yields every path of a layer in the archive's order.

    `trusted` says that this build made the blob: only then is its table of contents believed.

    Raises:
      LayerContentError, LayerStreamError, TarError: the blob is missing, damaged or not what its descriptor says.
    """
    annotated = descriptor.annotations.get(toc.ANNOTATION_DIGEST)
    try:
        stream = blob.open("rb", buffering=0)
    except OSError as error:
        raise LayerContentError(f"{blob}: the layer cannot be read: {error.strerror}") from None
    with stream:
        size = os.fstat(stream.fileno()).st_size
        if size != descriptor.size:
            raise LayerContentError(
                f"{blob}: the layer is damaged: it has {size} bytes, its descriptor says {descriptor.size}; "
                "build it again"
            )
        if trusted and annotated and compression_of(descriptor.media_type, str(blob)) == GZIP:
            contents = _by_table(cast(BinaryIO, stream), blob, annotated)
        else:
            contents = _streamed(cast(BinaryIO, stream), blob, descriptor.media_type)
        yield from (content for content in contents if content.file.path not in _OF_THE_FORMAT)


def _by_table(stream: BinaryIO, blob: Path, annotated: str) -> Iterator[LayerContent]:
    descriptor = stream.fileno()
    rows = _table(descriptor, blob, annotated)
    for number, row in enumerate(rows):
        kind = _KINDS.get(row["type"])
        if row["type"] == "chunk":
            continue
        path = str(row["name"]).strip("/")
        size = int(row.get("size", 0)) if kind == FILE else 0
        offsets = [int(row["offset"])] if size else []
        for following in rows[number + 1 :] if "chunkSize" in row else ():
            if following["type"] != "chunk":
                break
            offsets.append(int(following["offset"]))
        digest = str(row.get("digest", ""))
        file = LayerFile(path, kind or SPECIAL, int(row["mode"]), size, digest, str(row.get("linkName", "")))
        members = _Members(descriptor, offsets, size, f"{blob}: {path}")
        yield LayerContent(file, members.read, functools.partial(str, digest), members.again)


def _table(descriptor: int, blob: Path, annotated: str) -> list[dict[str, Any]]:
    """The rows of the table of contents, whose digest the layer's descriptor states."""
    try:
        size = os.fstat(descriptor).st_size
        footer = os.pread(descriptor, toc.FOOTER_SIZE, max(0, size - toc.FOOTER_SIZE))
        offset = int(footer[16:32], 16)
        if toc.footer(offset) != footer or offset >= size:
            raise ValueError("it has no eStargz footer")
        member = _Members(descriptor, [offset], size - offset, str(blob), whole=True)
        header = _exactly(member.read, 512)
        length = int(header[124:136].split(b"\0")[0], 8)
        if length > _MAX_TOC_BYTES:
            raise ValueError(f"its table of contents has {length} bytes")
        table = _exactly(member.read, length)
        if f"sha256:{hashlib.sha256(table).hexdigest()}" != annotated:
            raise ValueError("its table of contents is not the one that its descriptor names")
        entries: list[dict[str, Any]] = json.loads(table)["entries"]
        return entries
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise LayerContentError(f"{blob}: the layer is damaged: {error}; build it again") from None


class _Members:
    """The first `size` bytes of the gzip members at some offsets of a file, one after the other: what follows a small
    file may share its member. `whole` asks for all of them, `size` is then no more than an estimate.
    """

    def __init__(self, descriptor: int, offsets: list[int], size: int, where: str, whole: bool = False) -> None:
        self._descriptor = descriptor
        # A small file's neighbours are not worth reading: a deflate stream is hardly longer than its content.
        self._piece_bytes = min(_STORED_BYTES, size + 256)
        self._all_offsets = offsets
        self._offsets = offsets[::-1]
        self._size = size
        self._left = sys.maxsize if whole else size
        self._where = where
        self._position = 0
        self._inflater: Any = None
        self._tail = b""

    def again(self) -> Read:
        """Reads from the beginning, whatever was read before."""
        return _Members(self._descriptor, self._all_offsets, self._size, self._where).read

    def read(self, size: int) -> bytes:
        size = min(size, self._left)
        while size:
            if self._inflater is None or self._inflater.eof:
                if not self._offsets:
                    return b""
                self._position = self._offsets.pop()
                self._inflater, self._tail = isal_zlib.decompressobj(_GZIP_WINDOW), b""
            stored = self._tail or self._stored()
            try:
                piece: bytes = self._inflater.decompress(stored, size)
            except isal_zlib.error as error:
                raise LayerContentError(f"{self._where}: the compressed data is damaged: {error}") from None
            self._tail = self._inflater.unconsumed_tail
            if piece:
                self._left -= len(piece)
                return piece
        return b""

    def _stored(self) -> bytes:
        data = os.pread(self._descriptor, self._piece_bytes, self._position)
        if not data:
            raise LayerContentError(f"{self._where}: the layer ends in the middle of a file")
        self._position += len(data)
        return data


def _exactly(read: Read, size: int) -> bytes:
    parts = []
    while size:
        piece = read(size)
        if not piece:
            raise ValueError("its table of contents is cut short")
        parts.append(piece)
        size -= len(piece)
    return b"".join(parts)


def _streamed(stream: BinaryIO, blob: Path, media_type: str) -> Iterator[LayerContent]:
    where = str(blob)
    source = CountedReader(stream, lambda data: None)
    tar = InflatedStream(source, compression_of(media_type, where), where)
    reader = TarReader(cast(BinaryIO, tar), where)
    for entry in reader:
        path = entry.path.removeprefix("./").strip("/")
        if path in ("", ".") and entry.type == DIRECTORY:
            continue
        link = entry.link.removeprefix("./").strip("/") if entry.type == HARDLINK else entry.link
        file = LayerFile(path, entry.type, entry.mode, entry.size, "", link)
        hashed = _Hashed(reader.read)
        yield LayerContent(file, hashed.read, hashed.digest if entry.type == FILE else str, capable=entry.capable)


class _Hashed:
    def __init__(self, read: Read) -> None:
        self._read = read
        self._state = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._read(size)
        self._state.update(data)
        return data

    def digest(self) -> str:
        while self.read(_DRAIN_BYTES):
            pass
        return f"sha256:{self._state.hexdigest()}"

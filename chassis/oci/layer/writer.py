"""The layer writer: entries in, one blob out, in a single pass and with flat memory.

A layer is a tar (OCI image specification, layer.md) in eStargz form by default: every content is a gzip
member of its own, found through a table of contents. Nothing in the blob depends on time, user, umask, locale
or the number of CPUs.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self

from chassis.oci.descriptor import Descriptor, LayerDescriptor, LayerFile, Origin, Part
from chassis.oci.digest import PREFIX
from chassis.oci.layer import tar_header, toc
from chassis.oci.layer.contents import pieces_from, pieces_of, regroup, samples_from, samples_of
from chassis.oci.layer.cut_members import cut_members
from chassis.oci.layer.deflate_source import DeflateSource, unended
from chassis.oci.layer.error import LayerError, parent_error
from chassis.oci.layer.hashing import HashThread
from chassis.oci.layer.members import BlobFile, Encoder, GzipMembers, PlainTar, ZstdTar, compresses
from chassis.oci.layer.paths import check_link, check_path
from chassis.oci.layer.stored_blocks import STORED_END, stored_blocks
from chassis.oci.layer.tar_header import ROOT, Owner

Compression = Literal["estargz", "gzip", "zstd", "none"]
COMPRESSIONS: tuple[Compression, ...] = ("estargz", "gzip", "zstd", "none")

_DIRECTORY_MODE = 0o755
_MIN_SAVING = 0.10
_INLINE_HASH_BYTES = 1 << 16
_UNENDED_BYTES = 1 << 14
_TAR_BATCH_BYTES = 1 << 18
_MAX_CHUNK = 1 << 26


@dataclass(frozen=True, slots=True)
class FinishedLayer:
    """A whole layer: its descriptor and its paths in the order of the archive."""

    layer: LayerDescriptor
    files: tuple[LayerFile, ...]


class LayerWriter:
    """Writes one layer to a temporary file beside `blob`; `commit` gives it that name, and anything else
    removes it.

    Parents that were not added are added as directories of mode 0755 owned by root, so that two layers never
    disagree on one. `chunk_size` (bytes, 0: never) splits larger files of an eStargz layer into members that
    a lazy reader fetches singly; such files are recompressed. Without it, files over 4 MiB that are compressed here are
    split at that size, since the compressor takes a member whole.
    """

    def __init__(self, blob: Path, compression: Compression = "estargz", chunk_size: int = 0) -> None:
        if compression not in COMPRESSIONS:
            raise LayerError(f"compression {compression!r} is not one of {', '.join(COMPRESSIONS)}")
        if not 0 <= chunk_size <= _MAX_CHUNK:
            raise LayerError(f"chunk size {chunk_size} is outside 0 to {_MAX_CHUNK} bytes")
        self._blob = blob
        descriptor, name = tempfile.mkstemp(prefix=f".{blob.name}.", suffix=".partial", dir=blob.parent)
        self._temporary = Path(name)
        self._stream: BinaryIO = os.fdopen(descriptor, "wb")
        self._threads = HashThread()
        self._out = BlobFile(self._stream, self._threads)
        self._estargz = compression == "estargz"
        self._chunk_size = chunk_size if self._estargz else 0
        try:
            self._encoder: Encoder = _ENCODERS[compression](self._out)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._tar_state = hashlib.sha256()
        self._tar_size = 0
        self._tar_batch: list[bytes] = []
        self._tar_waiting = 0
        self._frames: list[bytes] = []
        self._entries: dict[str, toc.TocEntry] = {}
        self._forms: dict[str, str] = {}
        self._parts: list[Part] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.close()
        self._stream.close()
        self._temporary.unlink(missing_ok=True)

    def has(self, path: str) -> bool:
        """Whether `path` was added, as anything."""
        return path in self._entries

    def add_directory(self, path: str, mode: int = _DIRECTORY_MODE, owner: Owner = ROOT) -> None:
        """Adds a directory; does nothing if it was added before with the same mode."""
        if self.type_of(path) == "dir":
            return
        entry = self._begin(path, "dir", mode, owner)
        entry.name = path + "/"
        self._frame(tar_header.header(entry.name, tar_header.DIRECTORY, mode, owner=owner))

    def add_symlink(self, path: str, target: str) -> None:
        """Adds a symbolic link that stays within the image."""
        check_link(path, target)
        entry = self._begin(path, "symlink", 0o777, ROOT)
        entry.link = target
        self._frame(tar_header.header(path, tar_header.SYMBOLIC_LINK, 0o777, link=target))

    def add_hardlink(self, path: str, target: str) -> None:
        """Adds another name of `target`, a file that was added before."""
        if self.type_of(target) != "reg":
            raise LayerError(f"hard link {path!r} names {target!r}, which is not a file added before it")
        mode = self._entries[target].mode
        entry = self._begin(path, "hardlink", mode, ROOT)
        entry.link = target
        self._frame(tar_header.header(path, tar_header.HARD_LINK, mode, link=target))

    def add_bytes(self, path: str, data: bytes, mode: int = 0o644, owner: Owner = ROOT) -> None:
        """Adds a file from memory."""
        self._add_plain(path, pieces_of(data), len(data), mode, owner, samples_of(data))

    def add_stream(self, path: str, stream: BinaryIO, size: int, mode: int = 0o644, owner: Owner = ROOT) -> None:
        """Adds a file of `size` bytes; a seekable stream's samples decide whether compressing it is worth
        it.
        """
        samples = samples_from(stream, size)
        self._add_plain(path, pieces_from(path, stream, size), size, mode, owner, samples)

    def add_deflated(self, path: str, source: DeflateSource, mode: int = 0o644) -> None:
        """Adds a file whose deflate stream is copied as it is; it is inflated for its digests and checks all
        the same.

        Raises:
          ContentError: the stream is not what its archive's directory says.
        """
        entry = self._begin_file(path, source.size, mode, ROOT)
        if not source.size:
            for _ in source.inflate():
                pass
        elif not self._encoder.splices or 0 < self._chunk_size < source.size:
            self._plain(entry, source.inflate(), store=False)
        elif max(source.size, source.stored_size) <= _INLINE_HASH_BYTES:
            stored, content = source.whole()
            self._hash(entry, content)
            self._flush_frames()
            self._one_chunk(entry, self._whole(source, stored))
        else:
            self._splice(entry, source)
        self._frame(tar_header.padding(source.size))

    def end_part(self, name: str, version: str) -> None:
        """Says that what was added since the last call, or the start, belongs to that package."""
        entries = len(self._entries) - sum(part.entries for part in self._parts)
        size = self._out.size - sum(part.size for part in self._parts)
        self._parts.append(Part(name, version, entries, size))

    def digests(self) -> dict[str, str]:
        """The digests of every file added so far, by path."""
        self._threads.drain()
        return {entry.name: PREFIX + entry.state.hexdigest() for entry in self._entries.values() if entry.state}

    def finish(self, origin: Origin) -> FinishedLayer:
        """Ends the archive; what it is called is up to `commit`."""
        annotations: dict[str, str] = {}
        self._flush_tar()
        self._threads.drain()
        files = tuple(self._listed())
        if self._estargz:
            table = toc.encode(list(self._entries.values()))
            annotations[toc.ANNOTATION_DIGEST] = PREFIX + hashlib.sha256(table).hexdigest()
            self._flush_frames()
            self._encoder.cut()
            offset = self._out.size
            self._frame(
                tar_header.header(toc.NAME, tar_header.REGULAR, 0o644, len(table))
                + table
                + tar_header.padding(len(table))
                + tar_header.END
            )
            self._flush_frames()
            self._out.write(toc.footer(offset))
            annotations[toc.ANNOTATION_UNCOMPRESSED_SIZE] = str(self._tar_size + self._tar_waiting)
        else:
            self._frame(tar_header.END)
            self._flush_frames()
        self._encoder.finish()
        self._flush_tar()
        digest = PREFIX + self._out.finish()
        self._stream.flush()
        descriptor = Descriptor(self._encoder.media_type, digest, self._out.size, annotations)
        diff_id = PREFIX + self._tar_state.hexdigest()
        layer = LayerDescriptor(descriptor, diff_id, self._tar_size, origin, tuple(self._parts))
        return FinishedLayer(layer, files)

    def commit(self) -> None:
        """Gives the finished blob its name, mode 0644."""
        os.fchmod(self._stream.fileno(), stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH)
        self._temporary.replace(self._blob)

    def _add_plain(
        self, path: str, pieces: Iterable[bytes], size: int, mode: int, owner: Owner, samples: list[bytes]
    ) -> None:
        entry = self._begin_file(path, size, mode, owner)
        if size:
            self._plain(entry, pieces, store=bool(samples) and not compresses(samples, _MIN_SAVING))
        self._frame(tar_header.padding(size))

    def _plain(self, entry: toc.TocEntry, pieces: Iterable[bytes], store: bool) -> None:
        self._flush_frames()
        size = self._chunk_size or (0 if store else self._encoder.member_bytes)
        if not 0 < size < entry.size:
            offset = self._encoder.begin()
            self._encoder.plain(self._hashed(entry, pieces), store)
            self._one_chunk(entry, offset)
            return
        start = 0
        for member in cut_members(regroup(self._hashed(entry, pieces), size), size, store):
            offset = self._encoder.member(member)
            entry.chunks.append(toc.Chunk(offset, start, member.size, member.state))
            start += member.size

    def _splice(self, entry: toc.TocEntry, source: DeflateSource) -> None:
        self._flush_frames()
        offset = self._encoder.begin()
        take = self._encoder.raw if source.deflated else self._take_stored
        for piece in source.inflate(take):
            self._hash(entry, piece)
        if not source.deflated:
            self._encoder.raw(STORED_END)
        self._encoder.end(source.crc, source.size)
        self._one_chunk(entry, offset)

    def _whole(self, source: DeflateSource, stored: bytes) -> int:
        if not source.deflated:
            return self._encoder.whole(stored_blocks(stored), source.crc, source.size, ended=False)
        # Finding the end of a stream to the bit is worth its time only if a gzip member's own 18 bytes count.
        raw = unended(stored, source.size) if source.size <= _UNENDED_BYTES else None
        return self._encoder.whole(raw or stored, source.crc, source.size, ended=raw is None)

    def _one_chunk(self, entry: toc.TocEntry, offset: int) -> None:
        assert entry.state is not None
        entry.chunks.append(toc.Chunk(offset, 0, entry.size, entry.state))

    def _begin_file(self, path: str, size: int, mode: int, owner: Owner) -> toc.TocEntry:
        entry = self._begin(path, "reg", mode, owner)
        entry.size = size
        entry.state = hashlib.sha256()
        self._frame(tar_header.header(path, tar_header.REGULAR, mode, size, owner=owner))
        return entry

    def _begin(self, path: str, kind: str, mode: int, owner: Owner) -> toc.TocEntry:
        check_path(path)
        if path == toc.NAME:
            raise LayerError(f"{path!r} is the name of eStargz's own table of contents; call the file otherwise")
        if path in self._entries:
            raise LayerError(f"{path!r} is there twice")
        if not path.isascii():
            # Upper and lower case stay apart: Linux tells them apart, and packages of headers rely on it.
            other = self._forms.setdefault(unicodedata.normalize("NFC", path), path)
            if other != path:
                raise LayerError(f"{path!r} and {other!r} differ only by Unicode form")
        self._add_parents(path)
        entry = toc.TocEntry(path, kind, mode, owner.uid, owner.gid)
        self._entries[path] = entry
        return entry

    def type_of(self, path: str) -> str | None:
        """`dir`, `reg`, `symlink` or `hardlink` if `path` was added, else None."""
        entry = self._entries.get(path)
        return entry.type if entry else None

    def _add_parents(self, path: str) -> None:
        missing = []
        parent = path.rpartition("/")[0]
        while parent and (kind := self.type_of(parent)) != "dir":
            if kind is not None:
                raise parent_error(path, parent, kind)
            missing.append(parent)
            parent = parent.rpartition("/")[0]
        for directory in reversed(missing):
            self.add_directory(directory)

    def _frame(self, data: bytes) -> None:
        if data:
            self._frames.append(data)
            self._tar(data)

    def _flush_frames(self) -> None:
        if self._frames:
            self._encoder.frame(b"".join(self._frames))
            self._frames.clear()

    def _take_stored(self, piece: bytes) -> None:
        self._encoder.raw(stored_blocks(piece))

    def _hashed(self, entry: toc.TocEntry, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._hash(entry, piece)
            yield piece

    def _hash(self, entry: toc.TocEntry, piece: bytes) -> None:
        assert entry.state is not None
        if entry.size <= _INLINE_HASH_BYTES:
            entry.state.update(piece)
            self._tar(piece)
            return
        self._flush_tar()
        self._tar_size += len(piece)
        self._threads.submit(piece, self._tar_state, entry.state)

    def _tar(self, data: bytes) -> None:
        self._tar_batch.append(data)
        self._tar_waiting += len(data)
        if self._tar_waiting >= _TAR_BATCH_BYTES:
            self._flush_tar()

    def _flush_tar(self) -> None:
        if self._tar_batch:
            self._tar_size += self._tar_waiting
            self._threads.submit(b"".join(self._tar_batch), self._tar_state)
            self._tar_batch.clear()
            self._tar_waiting = 0

    def _listed(self) -> Iterator[LayerFile]:
        for entry in self._entries.values():
            kind = "file" if entry.type == "reg" else entry.type
            digest = PREFIX + entry.state.hexdigest() if entry.state else ""
            yield LayerFile(entry.name.rstrip("/"), kind, entry.mode, entry.size, digest, entry.link)


_ENCODERS: dict[Compression, Callable[[BlobFile], Encoder]] = {
    "estargz": GzipMembers,
    "gzip": GzipMembers,
    "zstd": ZstdTar,
    "none": PlainTar,
}

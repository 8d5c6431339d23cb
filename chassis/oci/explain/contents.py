"""What a layer holds, from the cheapest source that tells: the build's own list of files, the blob's eStargz table, or
the whole blob.

Specifications: OCI image specification, layer.md; containerd/stargz-snapshotter, docs/estargz.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from chassis.errors import ChassisError
from chassis.oci.descriptor import Descriptor, LayerDescriptor, LayerFile, Part, read_json
from chassis.oci.digest import PREFIX
from chassis.oci.explain.estargz_table import read_table
from chassis.oci.image_spec import read_files
from chassis.oci.layer import toc
from chassis.oci.layer_stream import CountedReader, InflatedStream, compression_of
from chassis.oci.layout_reader import LayoutError, LayoutReader
from chassis.oci.tar_reader import FILE, TarReader

Source = Literal["list", "table", "archive", "nothing"]
MAX_ENTRIES = 4_000_000
MAX_PLAIN_BYTES = 64 << 30
MAX_DOCUMENT_BYTES = 16 << 20

# What package managers leave of what they installed, by the path's end or folder.
_RECORD = ".dist-info/RECORD"
_DPKG = ("var/lib/dpkg/status", "var/lib/dpkg/status.d/", "var/lib/dpkg/info/")


class ContentsError(ChassisError):
    """A layer's blob is not what its descriptor says, or too large to be looked at."""


@dataclass(frozen=True, slots=True)
class KnownLayer:
    """What the build wrote beside a layer's blob: its descriptor and its list of files."""

    layer: LayerDescriptor
    files: tuple[LayerFile, ...]


@dataclass(frozen=True, slots=True)
class LayerContents:
    """What a layer holds.

    `plain_size` is the tar's size in bytes, 0 if it is not known; `stored` has the bytes of the blob that a path
    takes, if the blob tells; `documents` are what package managers left of what they installed, by path; `parts`
    are the packages that the build said.
    """

    source: Source
    files: tuple[LayerFile, ...] = ()
    plain_size: int = 0
    stored: dict[str, int] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()


def read_known(descriptor: Path, files: Path) -> KnownLayer:
    """Reads the two files that a layer tool writes beside a blob.

    Raises:
      ChassisError: one is missing or not of that form.
    """
    return KnownLayer(LayerDescriptor.from_json(read_json(descriptor), str(descriptor)), read_files(files))


def is_document(path: str) -> bool:
    """Whether a file tells what packages are installed: of wheels their RECORD, of Debian packages dpkg's own files."""
    return path.endswith(_RECORD) or (
        path.startswith(_DPKG) and (not path.startswith(_DPKG[2]) or path.endswith(".list"))
    )


def read_contents(
    layout: LayoutReader, descriptor: Descriptor, diff_id: str, known: KnownLayer | None
) -> LayerContents:
    """What a layer of `layout` holds; the blob is opened only if `known` does not tell.

    `source` of the result is `nothing` if the blob would be needed and is not there.

    Raises:
      ChassisError: the blob does not have its digest, or is damaged or hostile.
    """
    if known:
        return LayerContents("list", known.files, known.layer.uncompressed_size, parts=known.layer.parts)
    try:
        layout.blob_path(descriptor)
    except LayoutError:
        return LayerContents("nothing", plain_size=_stated_size(descriptor))
    if toc.ANNOTATION_DIGEST in descriptor.annotations:
        with layout.open_blob(descriptor) as blob:
            table = read_table(blob, descriptor, is_document)
        if table:
            size = _stated_size(descriptor) or sum(file.size for file in table.files)
            return LayerContents("table", table.files, size, table.stored, table.documents)
    return _read_archive(layout, descriptor, diff_id)


def _stated_size(descriptor: Descriptor) -> int:
    text = descriptor.annotations.get(toc.ANNOTATION_UNCOMPRESSED_SIZE, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _read_archive(layout: LayoutReader, descriptor: Descriptor, diff_id: str) -> LayerContents:
    """Reads the whole blob, with its digest and its diff_id checked."""
    where = f"layer {descriptor.digest}"
    raw_hash = hashlib.sha256(usedforsecurity=False)
    tar_hash = hashlib.sha256(usedforsecurity=False)
    size = 0

    def on_tar_bytes(data: bytes) -> None:
        nonlocal size
        size += len(data)
        if size > MAX_PLAIN_BYTES:
            raise ContentsError(f"{where}: unpacks to more than {MAX_PLAIN_BYTES} bytes")
        tar_hash.update(data)

    files: dict[str, LayerFile] = {}
    documents: dict[str, bytes] = {}
    with layout.open_blob(descriptor) as blob:
        raw = CountedReader(blob, raw_hash.update)
        stream = InflatedStream(raw, compression_of(descriptor.media_type, where), where)
        reader = TarReader(stream, where, on_tar_bytes)
        for number, entry in enumerate(reader):
            if number > MAX_ENTRIES:
                raise ContentsError(f"{where}: has more than {MAX_ENTRIES} entries")
            path = normal_path(entry.path, where)
            if not path or path == toc.NAME:
                continue
            digest = ""
            if entry.type == FILE:
                digest = _digest(reader, entry.size, _keep(documents, path, entry.size))
            link = normal_path(entry.link, where) if entry.type == "hardlink" else entry.link
            files[path] = LayerFile(path, entry.type, entry.mode, entry.size, digest, link)
        raw.drain()
    for what, expected, found in (
        ("digest", descriptor.digest, raw_hash.hexdigest()),
        ("diff_id (digest of the tar)", diff_id, tar_hash.hexdigest()),
    ):
        if expected != PREFIX + found:
            raise ContentsError(f"{where}: its {what} is {PREFIX + found}, expected {expected}: the file is damaged")
    return LayerContents("archive", tuple(files.values()), size, documents=documents)


def _keep(documents: dict[str, bytes], path: str, size: int) -> Callable[[bytes], None] | None:
    if not is_document(path) or size > MAX_DOCUMENT_BYTES:
        return None
    documents[path] = b""

    def append(piece: bytes) -> None:
        documents[path] += piece

    return append


def _digest(reader: TarReader, size: int, keep: Callable[[bytes], None] | None) -> str:
    state = hashlib.sha256()
    for piece in reader.pieces():
        state.update(piece)
        if keep:
            keep(bytes(piece))
    return PREFIX + state.hexdigest()


def normal_path(path: str, where: str) -> str:
    """A path of an archive without `./` and slashes at its ends; empty for the root itself.

    Raises:
      ContentsError: it climbs with `..`.
    """
    names = [name for name in path.split("/") if name not in ("", ".")]
    if ".." in names:
        raise ContentsError(f"{where}: {path!r} climbs with `..`; a layer's names must stay below its root")
    return "/".join(names)

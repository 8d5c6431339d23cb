"""Reads the table of contents at the end of an eStargz blob: what the layer holds, without inflating it.

Specification: containerd/stargz-snapshotter, docs/estargz.md, sections "TOC" and "Footer". The table counts only
if it has the digest that the descriptor's annotation states.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from chassis.errors import ChassisError
from chassis.oci.descriptor import Descriptor, LayerFile
from chassis.oci.digest import PREFIX
from chassis.oci.layer import toc
from chassis.oci.layer.tar_header import BLOCK

MAX_TABLE_BYTES = 1 << 30
_MAX_DOCUMENT_BYTES = 16 << 20
_MAX_DOCUMENTS_BYTES = 256 << 20
_TYPES = {"dir": "dir", "reg": "file", "symlink": "symlink", "hardlink": "hardlink"}
_OWN_FILES = (toc.NAME, ".no.prefetch.landmark", ".prefetch.landmark")
_GZIP = 31
_MAX_MEMBERS_OVERHEAD = 1 << 16  # headers, trailers and what follows up to the next content


class TableError(ChassisError):
    """An eStargz blob's table of contents is damaged or not the one that its descriptor names."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a layer holds: `stored` has the bytes of the blob that each file takes, `documents` the wanted contents."""

    files: tuple[LayerFile, ...]
    stored: dict[str, int]
    documents: dict[str, bytes]


def read_table(blob: BinaryIO, descriptor: Descriptor, wanted: Callable[[str], bool]) -> Table | None:
    """Reads the table, and of the files' contents those that are `wanted` by path, up to 16 MiB each.

    Returns None if the blob has no eStargz footer.

    Raises:
      TableError: the table is damaged, has another digest than the descriptor's annotation, or is over 1 GiB.
    """
    where = f"layer {descriptor.digest}"
    offset = _table_offset(blob, descriptor.size)
    if offset is None:
        return None
    blob.seek(offset)
    member = blob.read(descriptor.size - toc.FOOTER_SIZE - offset)
    text = _table_text(_inflate(member, MAX_TABLE_BYTES, where), where)
    stated = descriptor.annotations.get(toc.ANNOTATION_DIGEST)
    if (found := PREFIX + hashlib.sha256(text).hexdigest()) != stated:
        raise TableError(f"{where}: its table of contents has the digest {found}, its descriptor says {stated}")
    rows = _rows(text, where)
    stored = _stored(rows, offset)
    files = {row["name"]: _file(row) for row in rows if row["type"] in _TYPES}
    documents = {}
    left = _MAX_DOCUMENTS_BYTES
    for row in rows:
        size = row["size"]
        if row["type"] == "reg" and size <= min(left, _MAX_DOCUMENT_BYTES) and wanted(row["name"]):
            documents[row["name"]] = _content(blob, row, stored[row["name"]], where) if size else b""
            left -= size
    for own in _OWN_FILES:
        files.pop(own, None)
    return Table(tuple(files.values()), stored, documents)


def _table_offset(blob: BinaryIO, size: int) -> int | None:
    if size < toc.FOOTER_SIZE:
        return None
    blob.seek(size - toc.FOOTER_SIZE)
    footer = blob.read(toc.FOOTER_SIZE)
    try:
        offset = int(footer[16:32], 16)
    except ValueError:
        return None
    return offset if footer == toc.footer(offset) and offset < size - toc.FOOTER_SIZE else None


def _inflate(member: bytes, limit: int, where: str) -> bytes:
    stream = zlib.decompressobj(_GZIP)
    try:
        data = stream.decompress(member, limit)
    except zlib.error as error:
        raise TableError(f"{where}: its table of contents cannot be inflated: {error}") from None
    if not stream.eof:
        raise TableError(f"{where}: its table of contents is cut short, or over {limit} bytes")
    return data


def _table_text(entry: bytes, where: str) -> bytes:
    """The JSON in the table's tar entry: a header block with the size, the text, padding."""
    size = entry[124:135]
    if entry[: len(toc.NAME) + 1] != toc.NAME.encode() + b"\0" or not size.isdigit():
        raise TableError(f"{where}: where its table of contents should be is another file")
    length = int(size, 8)
    if len(entry) < BLOCK + length:
        raise TableError(f"{where}: its table of contents is cut short")
    return entry[BLOCK : BLOCK + length]


def _rows(text: bytes, where: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TableError(f"{where}: its table of contents is not JSON: {error}") from None
    listed = document.get("entries") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise TableError(f"{where}: its table of contents has no list `entries`")
    return [_row(item, where) for item in listed]


def _row(item: Any, where: str) -> dict[str, Any]:
    """An entry with the fields that are used here, of the right types, its name without slashes at its ends."""
    row = {
        name: item.get(name, default) if isinstance(item, dict) else None
        for name, default in (
            ("name", ""),
            ("type", ""),
            ("mode", 0),
            ("size", 0),
            ("offset", 0),
            ("digest", ""),
            ("linkName", ""),
        )
    }
    numbers = (row["mode"], row["size"], row["offset"])
    texts = (row["name"], row["type"], row["digest"], row["linkName"])
    if not all(isinstance(text, str) for text in texts) or not all(
        isinstance(number, int) and 0 <= number < 1 << 62 for number in numbers
    ):
        raise TableError(f"{where}: its table of contents holds a malformed entry: {str(item)[:200]}")
    names = [name for name in str(row["name"]).split("/") if name not in ("", ".")]
    if ".." in names or not names:
        raise TableError(f"{where}: its table of contents names the impossible path {row['name']!r}")
    return row | {"name": "/".join(names)}


def _stored(rows: list[dict[str, Any]], table_offset: int) -> dict[str, int]:
    """Bytes of the blob from each content's start to the next content's, by path; chunks add up."""
    starts = sorted((row["offset"], row["name"]) for row in rows if row["offset"])
    ends = [start for start, _ in starts[1:]] + [table_offset]
    stored = {row["name"]: 0 for row in rows}
    for (start, name), end in zip(starts, ends, strict=True):
        stored[name] += max(0, end - start)
    return stored


def _file(row: dict[str, Any]) -> LayerFile:
    kind = _TYPES[row["type"]]
    size = row["size"] if kind == "file" else 0
    return LayerFile(
        row["name"],
        kind,
        row["mode"] & 0o7777,
        size,
        row["digest"],
        row["linkName"].lstrip("/") if kind == "hardlink" else row["linkName"],
    )


def _content(blob: BinaryIO, row: dict[str, Any], stored: int, where: str) -> bytes:
    """A whole file: its gzip member, or members if it has chunks, until it is long enough."""
    blob.seek(row["offset"])
    data = b""
    rest = blob.read(min(stored, 2 * row["size"] + _MAX_MEMBERS_OVERHEAD))
    while len(data) < row["size"] and rest:
        stream = zlib.decompressobj(_GZIP)
        try:
            data += stream.decompress(rest, row["size"] - len(data))
        except zlib.error as error:
            raise TableError(f"{where}: {row['name']!r} cannot be inflated: {error}") from None
        rest = stream.unused_data
    if PREFIX + hashlib.sha256(data).hexdigest() != row["digest"]:
        raise TableError(f"{where}: {row['name']!r} does not have the digest that the table of contents states")
    return data

"""eStargz's table of contents and footer.

Specification: containerd/stargz-snapshotter, docs/estargz.md, sections "TOC" and "Footer".
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from chassis.oci.layer.hashing import Hash

NAME = "stargz.index.json"
ANNOTATION_DIGEST = "containerd.io/snapshot/stargz/toc.digest"
ANNOTATION_UNCOMPRESSED_SIZE = "io.containers.estargz.uncompressed-size"
FOOTER_SIZE = 51


@dataclass(slots=True)
class Chunk:
    """A part of a file that is a gzip member of its own.

    `offset` is that of the member's header in the blob, `start` that of the part in the file and `size` its
    length, all in bytes; `state` is the hash of the part.
    """

    offset: int
    start: int
    size: int
    state: Hash


@dataclass(slots=True)
class TocEntry:
    """One path. `name` of a directory ends in a slash; `state` is the hash of a file's content."""

    name: str
    type: str
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    link: str = ""
    state: Hash | None = None
    chunks: list[Chunk] = field(default_factory=list)

    def rows(self) -> list[dict[str, object]]:
        """The TOC's objects for this path: one, and one more for each chunk but the first."""
        row: dict[str, object] = {"name": self.name, "type": self.type}
        if self.size:
            row["size"] = self.size
        if self.link:
            row["linkName"] = self.link
        row["mode"] = self.mode
        if self.uid:
            row["uid"] = self.uid
        if self.gid:
            row["gid"] = self.gid
        if self.chunks:
            first = self.chunks[0]
            row["offset"] = first.offset
            if len(self.chunks) > 1:
                row["chunkSize"] = first.size
        if self.state is not None:
            row["digest"] = f"sha256:{self.state.hexdigest()}"
        if self.chunks:
            state = self.chunks[0].state
            row["chunkDigest"] = row["digest"] if state is self.state else f"sha256:{state.hexdigest()}"
        return [row] + [
            {
                "name": self.name,
                "type": "chunk",
                "offset": chunk.offset,
                "chunkOffset": chunk.start,
                "chunkSize": chunk.size,
                "chunkDigest": f"sha256:{chunk.state.hexdigest()}",
            }
            for chunk in self.chunks[1:]
        ]


def encode(entries: list[TocEntry]) -> bytes:
    """The table of contents as JSON."""
    rows = [row for entry in entries for row in entry.rows()]
    return json.dumps({"version": 1, "entries": rows}, separators=(",", ":")).encode()


def footer(toc_offset: int) -> bytes:
    """The blob's last 51 bytes: an empty gzip member whose extra field holds the offset of the TOC's
    member.
    """
    extra = b"SG" + (22).to_bytes(2, "little") + b"%016xSTARGZ" % toc_offset
    gzip_header = bytes.fromhex("1f8b08040000000000ff")
    return gzip_header + len(extra).to_bytes(2, "little") + extra + bytes.fromhex("010000ffff") + bytes(8)

"""OCI image layout to root file system: every layer verified while it is unpacked, nothing outside the root
touched.

Runs without privileges: owners are not set, devices not made. Specification: OCI image specification,
layer.md.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from chassis.errors import ChassisError
from chassis.oci import digest as digests
from chassis.oci.descriptor import Descriptor
from chassis.oci.file_tree import FileTree, UnpackError, remove_tree
from chassis.oci.layer.hashing import HashThread
from chassis.oci.layer_stream import CountedReader, InflatedStream, compression_of
from chassis.oci.layout_reader import ImageConfig, LayoutReader
from chassis.oci.tar_reader import TarEntry, TarReader

# What an eStargz layer keeps for lazy pulling; a runtime that pulls lazily does not show them either.
_ESTARGZ_FILES = ("stargz.index.json", ".no.prefetch.landmark", ".prefetch.landmark")
MAX_BYTES = 64 << 30
MAX_ENTRIES = 4_000_000


@dataclass(frozen=True, slots=True)
class Viewer:
    """A user by number. Files are given the permissions that this user has on them, whoever unpacks and
    owns them."""

    uid: int
    gid: int

    def mode(self, entry: TarEntry) -> int:
        """Permission bits, equal for owner, group and others; the sticky bit stays."""
        shift = 6 if entry.uid == self.uid else 3 if entry.gid == self.gid else 0
        return (entry.mode >> shift & 0o7) * 0o111 | entry.mode & 0o1000


@dataclass(frozen=True, slots=True)
class RootFileSystem:
    """An image's unpacked root directory with its configuration."""

    path: Path
    config: ImageConfig
    digest: str


def unpack(
    layout: LayoutReader,
    destination: Path,
    architecture: str = "",
    viewer: Viewer | None = None,
    max_bytes: int = MAX_BYTES,
) -> RootFileSystem:
    """Makes the directory `destination`, which must not exist, with the image's files; all of them or none.

    `architecture` chooses an image of an index, `viewer` whose permissions the files get (default: as
    written, without setuid and setgid), `max_bytes` bounds the sum of all layers, uncompressed.

    Raises:
      ChassisError: the layout is incomplete, a digest differs, or an entry would leave the root.
    """
    if destination.exists() or destination.is_symlink():
        raise UnpackError(f"{destination}: is there already; unpack into a new directory")
    manifest, config = layout.image(architecture)
    mode_of = viewer.mode if viewer else (lambda entry: entry.mode & 0o1777)
    partial = Path(tempfile.mkdtemp(prefix=destination.name + ".", dir=destination.parent))
    try:
        tree = FileTree(partial, mode_of)
        left = max_bytes
        for descriptor, diff_id in zip(manifest.blobs[1:], config.diff_ids, strict=True):
            left -= apply_layer(layout, descriptor, diff_id, tree, left)
        tree.finish()
        partial.rename(destination)
    except BaseException:
        remove_tree(partial)
        raise
    return RootFileSystem(destination, config, manifest.descriptor.digest)


def apply_layer(layout: LayoutReader, descriptor: Descriptor, diff_id: str, tree: FileTree, max_bytes: int) -> int:
    """Unpacks one layer over what is in `tree` and returns its uncompressed size in bytes.

    Raises:
      ChassisError: blob or tar do not have their digests, the archive is damaged or hostile, or it is over
        `max_bytes`.
    """
    where = f"layer {descriptor.digest}"
    raw_hash = hashlib.sha256(usedforsecurity=False)
    tar_hash = hashlib.sha256(usedforsecurity=False)
    hashes = HashThread()
    size = 0

    def on_tar_bytes(data: bytes) -> None:
        nonlocal size
        size += len(data)
        if size > max_bytes:
            raise UnpackError(f"{where}: the image's layers unpack to more than the limit of {MAX_BYTES} bytes")
        hashes.submit(data, tar_hash)

    try:
        with layout.open_blob(descriptor) as blob:
            raw = CountedReader(blob, lambda data: hashes.submit(data, raw_hash))
            inflated = InflatedStream(raw, compression_of(descriptor.media_type, where), where)
            reader = TarReader(inflated, where, on_tar_bytes)
            tree.start_layer()
            for number, entry in enumerate(reader):
                if number > MAX_ENTRIES:
                    raise UnpackError(f"{where}: has more than {MAX_ENTRIES} entries")
                if entry.path.removeprefix("./") not in _ESTARGZ_FILES:
                    tree.add(entry, reader.copy_to)
            raw.drain()
        hashes.drain()
    except UnpackError as error:
        raise UnpackError(f"{where}: {error}") from None
    finally:
        hashes.close()
    _check(where, "digest", descriptor.digest, digests.PREFIX + raw_hash.hexdigest())
    _check(where, "diff_id (digest of the tar)", diff_id, digests.PREFIX + tar_hash.hexdigest())
    return size


def _check(where: str, what: str, expected: str, found: str) -> None:
    if found != expected:
        raise ChassisError(
            f"{where}: its {what} is {found}, expected {expected}: the file is damaged or changed\n"
            "  build the image again"
        )

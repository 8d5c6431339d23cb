"""Bazel's disk cache (`--disk_cache`): files under the SHA-256 of their content, `cas/ab/abcdef…`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from chassis.oci import digest as digests
from chassis.oci.blob_store import FileStore
from chassis.oci.descriptor import Descriptor
from chassis.oci.registry.blob_source import BlobSource


class DiskCache:
    """The cache in a directory, which need not be there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, blobs: Sequence[Descriptor]) -> Mapping[str, BlobSource]:
        """Those that are there with the right size."""
        names = {blob.digest: digests.hex_of(blob.digest) for blob in blobs}
        files = {digest: self._folder / "cas" / name[:2] / name for digest, name in names.items()}
        return FileStore(files).find(blobs)

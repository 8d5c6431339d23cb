"""Places that may have blobs, asked in turn for what a registry lacks; nothing is read before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from chassis.oci.descriptor import Descriptor
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.registry.blob_source import BlobSource, FileSource


class BlobStore(Protocol):
    """A place that may have blobs."""

    def find(self, blobs: Sequence[Descriptor]) -> Mapping[str, BlobSource]:
        """Those of `blobs` that are there, by digest."""


class LayoutStore:
    """The blobs that lie in an OCI image layout."""

    def __init__(self, layout: LayoutReader) -> None:
        self._layout = layout

    def find(self, blobs: Sequence[Descriptor]) -> Mapping[str, BlobSource]:
        """Those that are there. One of another size is an error: the layout is damaged."""
        there = [blob for blob in blobs if self._layout.has_blob(blob)]
        return {blob.digest: FileSource(self._layout.blob_path(blob)) for blob in there}


class FileStore:
    """Files by digest, such as the outputs of a build; those that are gone, or have another size, do not count."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def find(self, blobs: Sequence[Descriptor]) -> Mapping[str, BlobSource]:
        """Those that are there."""
        found: dict[str, BlobSource] = {}
        for blob in blobs:
            path = self._files.get(blob.digest)
            if path is not None and path.is_file() and path.stat().st_size == blob.size:
                found[blob.digest] = FileSource(path)
        return found


def locate(blobs: Sequence[Descriptor], stores: Sequence[BlobStore]) -> dict[str, BlobSource]:
    """The first source of each blob, asking each store only for what those before it do not have."""
    found: dict[str, BlobSource] = {}
    for store in stores:
        wanted = [blob for blob in blobs if blob.digest not in found]
        if not wanted:
            break
        found |= store.find(wanted)
    return found


class LateStore:
    """Stores that are only found out about once something is looked for that no other place has."""

    def __init__(self, stores: Callable[[], Sequence[BlobStore]]) -> None:
        self._stores = stores

    def find(self, blobs: Sequence[Descriptor]) -> Mapping[str, BlobSource]:
        """The first source of each."""
        return locate(blobs, self._stores())

"""Writes an image layout as one tar stream: an OCI archive, which `docker load` takes too.

Specification: OCI image specification, image-layout.md ("The image layout as an archive"), and Docker's image
specification v1.2 ("Combined Image JSON + Filesystem Changeset Format", manifest.json).
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

from chassis.oci import digest as digests
from chassis.oci.descriptor import MEDIA_TYPE_INDEX, Descriptor
from chassis.oci.layout_reader import LayoutError, LayoutReader

REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
"""Annotation that containerd takes an image's full name from."""

_BLOCK_BYTES = 1 << 20


def write_archive(
    layout: LayoutReader, name: str, stream: BinaryIO, progress: Callable[[int], None] = lambda count: None
) -> str:
    """Writes the layout's only image to a stream that need not be seekable; returns the manifest's digest.

    `name` is what the image is called where the archive is loaded, `host/path:tag`. The same image and name give the
    same bytes. Every blob's digest is checked on the way, documents before the first byte is written.

    Raises:
      LayoutError: the layout has no single image, or a blob is missing or not what its digest says. The stream is then
        cut short, so that no reader takes it for whole.
    """
    manifest, _ = layout.image()
    config, layers = manifest.blobs[0], manifest.blobs[1:]
    for blob in manifest.blobs:
        layout.blob_path(blob)
    entry = replace(manifest.descriptor, annotations={CONTAINERD_NAME: name, REF_NAME: name})
    index = {"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": [entry.to_json()]}
    docker = [{"Config": _path(config), "RepoTags": [name], "Layers": [_path(layer) for layer in layers]}]
    _write_document(stream, "oci-layout", {"imageLayoutVersion": "1.0.0"})
    _write_document(stream, "index.json", index)
    _write_document(stream, "manifest.json", docker)
    for directory in ("blobs", "blobs/sha256"):
        stream.write(_header(directory, 0, directory=True))
    unique = {blob.digest: blob for blob in (manifest.descriptor, *manifest.blobs)}
    for blob in sorted(unique.values(), key=lambda blob: blob.digest):
        _write_blob(layout, blob, stream, progress)
    stream.write(bytes(2 * tarfile.BLOCKSIZE))
    stream.flush()
    return manifest.descriptor.digest


def _path(blob: Descriptor) -> str:
    return f"blobs/sha256/{digests.hex_of(blob.digest)}"


def _write_document(stream: BinaryIO, name: str, document: object) -> None:
    data = (json.dumps(document, separators=(",", ":")) + "\n").encode()
    stream.write(_header(name, len(data)) + data + _padding(len(data)))


def _write_blob(layout: LayoutReader, blob: Descriptor, stream: BinaryIO, progress: Callable[[int], None]) -> None:
    stream.write(_header(_path(blob), blob.size))
    state, size = hashlib.sha256(), 0
    with layout.open_blob(blob) as source:
        while data := source.read(_BLOCK_BYTES):
            state.update(data)
            size += len(data)
            stream.write(data)
            progress(len(data))
    found = f"sha256:{state.hexdigest()}"
    if (found, size) != (blob.digest, blob.size):
        raise LayoutError(
            f"{layout.blob_path(blob)}: changed since the image was built: it has the digest {found} and {size} bytes, "
            f"expected {blob.digest} and {blob.size} bytes\n  build the image again"
        )
    stream.write(_padding(size))


def _header(name: str, size: int, directory: bool = False) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o755 if directory else 0o644
    info.type = tarfile.DIRTYPE if directory else tarfile.REGTYPE
    return info.tobuf(tarfile.GNU_FORMAT)  # a blob of 8 GiB and more has its size in base 256


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)

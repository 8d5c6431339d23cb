"""Reads an OCI image layout directory: its index, manifests, configurations and blobs.

Specification: OCI image specification, image-layout.md, image-index.md, manifest.md and config.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from chassis.errors import ChassisError
from chassis.oci import digest as digests
from chassis.oci.descriptor import (
    MEDIA_TYPE_INDEX,
    MEDIA_TYPE_MANIFEST,
    Descriptor,
    read_json,
)
from chassis.oci.json_document import list_in, read_object

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
INDEX_TYPES = (MEDIA_TYPE_INDEX, DOCKER_INDEX)
MANIFEST_TYPES = (MEDIA_TYPE_MANIFEST, DOCKER_MANIFEST)
MAX_DOCUMENT_BYTES = 4 << 20  # what registries are asked to accept, distribution specification "Pushing Manifests"
_MAX_INDEX_DEPTH = 4


class LayoutError(ChassisError):
    """A directory is not an OCI image layout, or one that lacks or contradicts something."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest or an index, as bytes that must not change, with what it refers to.

    `children` are manifests of an index; `blobs` the configuration and the layers of an image, in that order.
    """

    descriptor: Descriptor
    data: bytes
    children: tuple[Descriptor, ...]
    blobs: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The part of an image's configuration that running it needs; `diff_ids` are those of the layers, in
    order.
    """

    architecture: str
    os: str
    variant: str
    environment: dict[str, str]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    working_dir: str
    user: str
    diff_ids: tuple[str, ...]
    labels: dict[str, str] = field(default_factory=dict)


class LayoutReader:
    """An OCI image layout directory. Blobs may be links to files elsewhere; their digests tell whether they
    are right.
    """

    def __init__(self, path: Path) -> None:
        """Raises `LayoutError` if the directory is not an OCI image layout of version 1."""
        self.path = path
        marker = path / "oci-layout"
        if not marker.is_file():
            raise LayoutError(f"{path}: is not an OCI image layout (there is no oci-layout file in it)")
        version = read_json(marker)
        if not isinstance(version, dict) or not str(version.get("imageLayoutVersion", "")).startswith("1."):
            raise LayoutError(f"{marker}: imageLayoutVersion 1.x expected, found {version!r}")

    def entries(self) -> list[Descriptor]:
        """The descriptors in index.json."""
        where = self.path / "index.json"
        document = read_json(where)
        listed = document.get("manifests") if isinstance(document, dict) else None
        if not isinstance(listed, list):
            raise LayoutError(f"{where}: has no list `manifests`")
        return [Descriptor.from_json(item, f"{where}: manifests[{i}]") for i, item in enumerate(listed)]

    def entry(self) -> Descriptor:
        """The only descriptor in index.json.

        Raises:
          LayoutError: there is none, or more than one.
        """
        entries = self.entries()
        if len(entries) != 1:
            names = ", ".join(entry.digest for entry in entries) or "none"
            raise LayoutError(
                f"{self.path / 'index.json'}: exactly one manifest expected, found {len(entries)} ({names})"
            )
        return entries[0]

    def manifest(self, descriptor: Descriptor) -> Manifest:
        """The manifest or index that `descriptor` names, with its digest checked."""
        where = f"{self.path}: manifest {descriptor.digest}"
        data = self.document(descriptor)
        fields = read_object(data, where, LayoutError)
        media_type = fields.get("mediaType", descriptor.media_type)
        if media_type != descriptor.media_type:
            raise LayoutError(f"{where}: says it is {media_type!r}, its descriptor says {descriptor.media_type!r}")
        if media_type in INDEX_TYPES:
            listed = list_in(fields, "manifests", where, LayoutError)
            children = tuple(Descriptor.from_json(item, where) for item in listed)
            return Manifest(descriptor, data, children, ())
        if media_type in MANIFEST_TYPES:
            config = Descriptor.from_json(fields.get("config"), f"{where}: config")
            layers = list_in(fields, "layers", where, LayoutError)
            blobs = (config, *(Descriptor.from_json(item, f"{where}: layers") for item in layers))
            return Manifest(descriptor, data, (), blobs)
        raise LayoutError(f"{where}: has the media type {media_type!r}; an image manifest or index was expected")

    def walk(self, descriptor: Descriptor, depth: int = 0) -> Iterator[Manifest]:
        """The manifest that `descriptor` names after all that it refers to, children first."""
        if depth > _MAX_INDEX_DEPTH:
            raise LayoutError(f"{self.path}: indexes are nested more than {_MAX_INDEX_DEPTH} deep")
        manifest = self.manifest(descriptor)
        for child in manifest.children:
            yield from self.walk(child, depth + 1)
        yield manifest

    def image(self, architecture: str = "") -> tuple[Manifest, ImageConfig]:
        """The layout's image and its configuration; `architecture` chooses one if an index holds
        several.
        """
        found = [
            (manifest, config)
            for manifest in self.walk(self.entry())
            if manifest.blobs
            for config in [self.config(manifest)]
            if not architecture or config.architecture == architecture
        ]
        if len(found) != 1:
            asked = f" for {architecture}" if architecture else ""
            held = ", ".join(f"{config.os}/{config.architecture}" for _, config in found) or "none"
            raise LayoutError(f"{self.path}: one image{asked} expected, found {held}")
        return found[0]

    def config(self, manifest: Manifest) -> ImageConfig:
        """The configuration of an image manifest."""
        descriptor, layers = manifest.blobs[0], manifest.blobs[1:]
        where = f"{self.path}: configuration {descriptor.digest}"
        fields = read_object(self.document(descriptor), where, LayoutError)
        runs = fields.get("config") or {}
        rootfs = fields.get("rootfs") or {}
        if not isinstance(runs, dict) or not isinstance(rootfs, dict):
            raise LayoutError(f"{where}: `config` and `rootfs` must be objects")
        diff_ids = tuple(digests.check_digest(item, where) for item in rootfs.get("diff_ids") or [])
        if len(diff_ids) != len(layers):
            raise LayoutError(f"{where}: has {len(diff_ids)} diff_ids, the manifest {len(layers)} layers")
        return ImageConfig(
            architecture=str(fields.get("architecture", "")),
            os=str(fields.get("os", "")),
            variant=str(fields.get("variant", "")),
            environment=dict(item.partition("=")[::2] for item in _strings(runs, "Env", where)),
            entrypoint=tuple(_strings(runs, "Entrypoint", where)),
            command=tuple(_strings(runs, "Cmd", where)),
            working_dir=str(runs.get("WorkingDir") or "/"),
            user=str(runs.get("User") or ""),
            diff_ids=diff_ids,
            labels={str(key): str(value) for key, value in (runs.get("Labels") or {}).items()},
        )

    def has_blob(self, descriptor: Descriptor) -> bool:
        """Whether there is a file of this digest, of whatever size."""
        return (self.path / "blobs" / "sha256" / digests.hex_of(descriptor.digest)).exists()

    def blob_path(self, descriptor: Descriptor) -> Path:
        """The file of a blob, whose size is checked.

        Raises:
          LayoutError: it is missing or has another size.
        """
        path = self.path / "blobs" / "sha256" / digests.hex_of(descriptor.digest)
        try:
            size = path.stat().st_size
        except OSError:
            raise LayoutError(f"{self.path}: blob {descriptor.digest} is missing") from None
        if size != descriptor.size:
            raise LayoutError(
                f"{path}: has {size} bytes, its descriptor says {descriptor.size}; the file changed since "
                "the image was built: build it again"
            )
        return path

    def open_blob(self, descriptor: Descriptor) -> BinaryIO:
        """The blob's bytes, unchecked but for their number: the caller takes the digest while reading."""
        return self.blob_path(descriptor).open("rb", buffering=0)

    def document(self, descriptor: Descriptor) -> bytes:
        """A small blob (a manifest or configuration), with size and digest checked."""
        if descriptor.size > MAX_DOCUMENT_BYTES:
            raise LayoutError(f"{self.path}: {descriptor.digest} has {descriptor.size} bytes; too many for a document")
        data = self.blob_path(descriptor).read_bytes()
        if digests.of_bytes(data) != descriptor.digest:
            raise LayoutError(f"{self.path}: blob {descriptor.digest} has the digest {digests.of_bytes(data)}")
        return data


def _strings(fields: dict[str, Any], name: str, where: str) -> list[str]:
    value = fields.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise LayoutError(f"{where}: `{name}` is not a list of strings")
    return value

"""Pulls an image by digest: manifest and configuration first, layers when they are asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.declaration.image_limits import MAX_LAYERS
from chassis.errors import ChassisError
from chassis.oci import digest as digests
from chassis.oci.descriptor import MEDIA_TYPE_INDEX, Descriptor, Platform, read_json
from chassis.oci.json_document import list_in, read_object
from chassis.oci.layout_reader import INDEX_TYPES, MANIFEST_TYPES, MAX_DOCUMENT_BYTES
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.reference import Reference


class PullError(ChassisError):
    """An image cannot be pulled as asked."""


@dataclass(frozen=True, slots=True)
class PulledImage:
    """An image's manifest and configuration, as bytes that have their digests, and its layers' descriptors."""

    descriptor: Descriptor
    manifest: bytes
    config: bytes
    layers: tuple[Descriptor, ...]


def pinned_digest(reference: Reference, client: RegistryClient) -> str:
    """The digest that a reference has.

    Raises:
      PullError: it has none; the message holds the one that its tag names now.
    """
    if reference.digest:
        return reference.digest
    tag = reference.tag or "latest"
    found = client.manifest_digest(tag)
    if not found:
        raise PullError(f"image {reference}: the registry has no tag {tag}")
    raise PullError(
        f'image {reference}: a tag may move, so that a build would change by itself\n  write digest = "{found}", '
        f"which is what the tag {tag} names now"
    )


def pull_image(client: RegistryClient, digest: str, platform: Platform | None, folder: Path) -> PulledImage:
    """Fetches manifest and configuration of an image; if the digest names an index, of its image for `platform`.
    `folder` is one for files on their way.

    Raises:
      PullError: the digest names something else, or an index without an image for the platform.
      RegistryError: the registry does not have it or answers with other bytes.
    """
    where = f"{client.repository}@{digest}"
    media_type, data = client.manifest(digest)
    fields = read_object(data, where, PullError)
    if media_type in INDEX_TYPES:
        chosen = _choose(fields, platform, where)
        media_type, data = client.manifest(chosen.digest)
        if (media_type, len(data)) != (chosen.media_type, chosen.size):
            raise PullError(
                f"{where}: lists {chosen.digest} as {chosen.media_type} of {chosen.size} bytes, "
                f"and it is {media_type} of {len(data)}"
            )
        digest, where = chosen.digest, f"{client.repository}@{chosen.digest}"
        fields = read_object(data, where, PullError)
    if media_type not in MANIFEST_TYPES:
        raise PullError(f"{where}: is {media_type!r}; an image manifest or index is expected")
    config = Descriptor.from_json(fields.get("config"), f"{where}: config")
    layers = list_in(fields, "layers", where, PullError)
    if len(layers) > MAX_LAYERS:
        raise PullError(f"{where}: has {len(layers)} layers; runtimes take no more than {MAX_LAYERS}")
    pulled = PulledImage(
        descriptor=Descriptor(media_type, digest, len(data)),
        manifest=data,
        config=_document(client, config, folder, where),
        layers=tuple(Descriptor.from_json(layer, f"{where}: layers") for layer in layers),
    )
    _check_platform(pulled, platform, where)
    return pulled


def pull_layout(
    client: RegistryClient, digest: str, platform: Platform | None, folder: Path, without: Collection[str] = ()
) -> PulledImage:
    """Fetches an image as the layout `folder`, which is there, but for layers whose digests are in `without`.

    Raises:
      PullError, RegistryError: see `pull_image`.
    """
    image = pull_image(client, digest, platform, folder)
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (blobs / digests.hex_of(image.descriptor.digest)).write_bytes(image.manifest)
    (blobs / digests.hex_of(digests.of_bytes(image.config))).write_bytes(image.config)
    for layer in image.layers:
        file = blobs / digests.hex_of(layer.digest)
        if layer.digest not in without and not file.exists():
            client.fetch_blob(layer, file)
    _write_entry(folder, image.descriptor)
    return image


def write_pulled_layout(output: Path, manifest_file: Path, config_file: Path, layers: Sequence[Path]) -> Descriptor:
    """Writes the layout of a pulled image into `output`; its layers are symbolic links relative to themselves. Returns
    the manifest's descriptor.

    Raises:
      PullError: the number of layers is another than the manifest's.
    """
    data, config = manifest_file.read_bytes(), config_file.read_bytes()
    fields = read_json(manifest_file)
    named = [Descriptor.from_json(layer, f"{manifest_file}: layers") for layer in fields["layers"]]
    if len(named) != len(layers):
        raise PullError(f"{manifest_file}: has {len(named)} layers, {len(layers)} were given")
    descriptor = Descriptor(fields["mediaType"], digests.of_bytes(data), len(data))
    blobs = output / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / digests.hex_of(descriptor.digest)).write_bytes(data)
    (blobs / digests.hex_of(digests.of_bytes(config))).write_bytes(config)
    for layer, file in zip(named, layers, strict=True):
        link = blobs / digests.hex_of(layer.digest)
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(file, blobs))
    _write_entry(output, descriptor)
    return descriptor


def _write_entry(output: Path, descriptor: Descriptor) -> None:
    """What says that a directory is a layout, and which manifest it is of."""
    index = {"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": [descriptor.to_json()]}
    (output / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}\n')
    (output / "index.json").write_text(json.dumps(index) + "\n")


def parse_platform(text: str) -> Platform:
    """Reads `os/architecture[/variant]`."""
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise PullError(f"platform {text!r}: os/architecture[/variant] is expected, such as linux/arm64")
    return Platform(parts[1], parts[0], parts[2] if len(parts) == 3 else "")


def _choose(fields: dict[str, Any], platform: Platform | None, where: str) -> Descriptor:
    listed = list_in(fields, "manifests", where, PullError)
    entries = [Descriptor.from_json(item, f"{where}: manifests") for item in listed]
    held = ", ".join(str(entry.platform) for entry in entries if entry.platform) or "none"
    if platform is None:
        raise PullError(f"{where}: is an index; say which platforms to pull: it has {held}")
    for entry in entries:
        if entry.platform and _fits(entry.platform, platform):
            return entry
    raise PullError(f"{where}: has no image for {platform}; it has {held}")


def _fits(held: Platform, wanted: Platform) -> bool:
    same = (held.os, held.architecture) == (wanted.os, wanted.architecture)
    return same and (not wanted.variant or wanted.variant == held.variant)


def _check_platform(pulled: PulledImage, platform: Platform | None, where: str) -> None:
    config = f"{where}: configuration"
    held = Platform.from_json(read_object(pulled.config, config, PullError), config)
    if platform and (held.os, held.architecture) != (platform.os, platform.architecture):
        raise PullError(f"{where}: is for {held}, {platform} was asked for")


def _document(client: RegistryClient, descriptor: Descriptor, folder: Path, where: str) -> bytes:
    if descriptor.size > MAX_DOCUMENT_BYTES:
        raise PullError(f"{where}: its configuration has {descriptor.size} bytes; too many")
    file = folder / digests.hex_of(descriptor.digest)
    client.fetch_blob(descriptor, file)
    data = file.read_bytes()
    file.unlink()
    return data

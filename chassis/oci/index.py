"""Writes an OCI image layout of one index over images for several platforms.

Specification: OCI image specification, image-index.md. index.json has one entry, the index itself, as tools expect
that push a layout's only entry.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from chassis.oci import digest
from chassis.oci.descriptor import MEDIA_TYPE_INDEX, Descriptor
from chassis.oci.layout import ImageError
from chassis.oci.layout_reader import LayoutReader, Manifest

ACCELERATOR = "dev.chassis.accelerator"
"""Annotation of an index's entry: OCI's platform has no field for an accelerator."""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """An image of the index: its layout directory, and the accelerator that it is for (`none` or `cuda`)."""

    layout: Path
    accelerator: str = "none"


def write_index(output: Path, entries: tuple[IndexEntry, ...], documents_only: bool = False) -> Descriptor:
    """Writes the layout into `output`, an empty or missing directory, and returns the index's descriptor.

    Entries keep their order: a client takes the first that fits, and knows nothing of accelerators, so images without
    one go first. Layers are symbolic links relative to themselves; with `documents_only` they are left out, and need
    not be in the images' layouts.

    Raises:
      ImageError: two entries are for one platform and accelerator, or `output` is not empty.
      LayoutError: a layout is damaged, or has none or several images.
    """
    blobs = output / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    if any(blobs.iterdir()) or (output / "index.json").exists():
        raise ImageError(f"{output}: is not empty; a layout is written into a directory of its own")
    described = []
    seen: dict[tuple[str, str], Path] = {}
    for entry in sorted(entries, key=lambda entry: entry.accelerator != "none"):
        reader = LayoutReader(entry.layout)
        manifest, config = reader.image()
        descriptor = _annotated(reader.entry(), entry.accelerator)
        key = (str(descriptor.platform or config.architecture), entry.accelerator)
        if key in seen:
            raise ImageError(
                f"the index has two images for {key[0]}, accelerator {key[1]}: {seen[key]} and {entry.layout}; "
                "leave one of the two platforms out"
            )
        seen[key] = entry.layout
        described.append(descriptor)
        for named in (descriptor, manifest.blobs[0]):
            (blobs / digest.hex_of(named.digest)).write_bytes(reader.document(named))
        if not documents_only:
            _link(reader, manifest.blobs[1:], blobs)
    index = _index_of(described)
    descriptor = index.descriptor
    (blobs / digest.hex_of(descriptor.digest)).write_bytes(index.data)
    (output / "oci-layout").write_bytes(_encoded({"imageLayoutVersion": "1.0.0"}))
    top = {"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": [descriptor.to_json()]}
    (output / "index.json").write_bytes(_encoded(top))
    return descriptor


def accelerator_indexes(index: Manifest) -> dict[str, Manifest]:
    """For each accelerator that an index has images for, an index of these alone, without `os.features`: whoever asks
    for it has chosen, and a plain client then takes the image of its CPU."""
    chosen: dict[str, list[Descriptor]] = {}
    for child in index.children:
        if (accelerator := child.annotations.get(ACCELERATOR)) and child.platform:
            plain = replace(child, platform=replace(child.platform, os_features=()))
            chosen.setdefault(accelerator, []).append(plain)
    return {accelerator: _index_of(children) for accelerator, children in sorted(chosen.items())}


def _index_of(children: list[Descriptor]) -> Manifest:
    data = _encoded(
        {
            "schemaVersion": 2,
            "mediaType": MEDIA_TYPE_INDEX,
            "manifests": [descriptor.to_json() for descriptor in children],
        }
    )
    return Manifest(Descriptor(MEDIA_TYPE_INDEX, digest.of_bytes(data), len(data)), data, tuple(children), ())


def _annotated(descriptor: Descriptor, accelerator: str) -> Descriptor:
    """The entry as the index has it: `os.features` and an annotation tell a gpu image from the other."""
    if accelerator == "none" or descriptor.platform is None:
        return replace(descriptor, annotations={})
    platform = replace(descriptor.platform, os_features=(accelerator,))
    return replace(descriptor, annotations={ACCELERATOR: accelerator}, platform=platform)


def _link(reader: LayoutReader, layers: tuple[Descriptor, ...], blobs: Path) -> None:
    for layer in layers:
        link = blobs / digest.hex_of(layer.digest)
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(reader.blob_path(layer), blobs))


def _encoded(document: dict[str, object]) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()

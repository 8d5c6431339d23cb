"""An image explained: every layer with its origin, its packages and files, its sizes and its share of the image."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chassis.oci.descriptor import Descriptor, LayerFile, Origin
from chassis.oci.explain.contents import KnownLayer, Source, read_contents
from chassis.oci.explain.packages import Package, find_packages
from chassis.oci.explain.placement import origins, why
from chassis.oci.layout_reader import LayoutReader


@dataclass(frozen=True, slots=True)
class ExplainedLayer:
    """A layer of an image.

    `number` counts from 1 at the bottom; `plain_size` is that of the tar in bytes, 0 if it is not known; `stored`
    has the bytes of the blob that a path takes, if the blob tells; `source` is where `files` come from, `nothing`
    if the blob would be needed and is not there.
    """

    number: int
    descriptor: Descriptor
    diff_id: str
    origin: Origin
    source: Source
    plain_size: int
    files: tuple[LayerFile, ...]
    packages: tuple[Package, ...]
    stored: Mapping[str, int]

    @property
    def size(self) -> int:
        """Bytes that a registry moves for it."""
        return self.descriptor.size

    @property
    def why(self) -> str:
        """Why it is where it is."""
        return why(self.origin)

    @property
    def file_count(self) -> int:
        """How many paths it installs that are not directories."""
        return sum(file.type != "dir" for file in self.files)


@dataclass(frozen=True, slots=True)
class ExplainedImage:
    """An image; `name` is what its reader calls it, `documents_size` the bytes of manifest and configuration."""

    name: str
    digest: str
    platform: str
    documents_size: int
    layers: tuple[ExplainedLayer, ...]

    @property
    def size(self) -> int:
        """Bytes of all layers as a registry moves them."""
        return sum(layer.size for layer in self.layers)

    @property
    def plain_size(self) -> int:
        """Bytes of all layers' tars."""
        return sum(layer.plain_size for layer in self.layers)

    @property
    def file_count(self) -> int:
        """How many paths the layers install that are not directories."""
        return sum(layer.file_count for layer in self.layers)

    def packages(self) -> dict[tuple[str, str], str]:
        """Kind and name of each package to its version; of one that several layers bring, the uppermost's."""
        return {(p.kind, p.name): p.version for layer in self.layers for p in layer.packages}

    def share(self, size: int) -> float:
        """`size` in bytes as a part of the image's layers, 0 to 1."""
        return size / self.size if self.size else 0.0


def explain_image(
    layout: LayoutReader, name: str, known: Mapping[str, KnownLayer] | None = None, architecture: str = ""
) -> ExplainedImage:
    """Explains the image of a layout.

    `known` are, by digest, the layers that the build described: their blobs are not opened. `architecture` chooses an
    image of an index.

    Raises:
      ChassisError: the layout is incomplete, or a blob that has to be read is damaged.
    """
    known = known or {}
    manifest, config = layout.image(architecture)
    document: dict[str, Any] = json.loads(layout.document(manifest.blobs[0]))
    told = origins(document.get("history"), len(config.diff_ids))
    layers = []
    for number, descriptor in enumerate(manifest.blobs[1:], 1):
        ours = known.get(descriptor.digest)
        origin = ours.layer.origin if ours else told[number - 1]
        diff_id = config.diff_ids[number - 1]
        contents = read_contents(layout, descriptor, diff_id, ours)
        layers.append(
            ExplainedLayer(
                number=number,
                descriptor=descriptor,
                diff_id=diff_id,
                origin=origin,
                source=contents.source,
                plain_size=contents.plain_size,
                files=contents.files,
                packages=find_packages(origin, contents, descriptor.size),
                stored=contents.stored,
            )
        )
    return ExplainedImage(
        name=name,
        digest=manifest.descriptor.digest,
        platform="/".join(part for part in (config.os, config.architecture, config.variant) if part),
        documents_size=len(manifest.data) + manifest.blobs[0].size,
        layers=tuple(layers),
    )

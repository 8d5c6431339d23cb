"""The inventory of an index: its images by digest. What is in each, its own bill of materials says."""

from __future__ import annotations

from pathlib import Path

from packageurl import PackageURL

from chassis.oci.layout_reader import LayoutReader
from chassis.trust.component import CONTAINER, Component, Inventory


def index_inventory(documents: Path, target: str, name: str, version: str) -> Inventory:
    """The inventory of the index in a layout without layers; `name` and `version` are the model's.

    Raises:
      ChassisError: it is not the layout of an index.
    """
    layout = LayoutReader(documents)
    entry = layout.entry()
    images = []
    for manifest in layout.walk(entry):
        if not manifest.blobs:
            continue
        platform = layout.config(manifest)
        digest = manifest.descriptor.digest
        purl = str(PackageURL("oci", None, name, digest, {"arch": platform.architecture}))
        images.append(
            Component(
                ref=purl,
                kind=CONTAINER,
                name=name,
                version=version,
                purl=purl,
                sha256=digest.rpartition(":")[2],
                properties={"chassis:platform": "/".join((platform.os, platform.architecture))},
            )
        )
    purl = str(PackageURL("oci", None, name, entry.digest))
    index = Component(
        ref=purl,
        kind=CONTAINER,
        name=name,
        version=version,
        purl=purl,
        sha256=entry.digest.rpartition(":")[2],
        depends=tuple(image.ref for image in images),
        properties={"chassis:target": target},
    )
    return Inventory(index, tuple(images))

"""An explained image, or what changed between two, as a JSON document for programs.

Sizes are in bytes; a size that is not known is null. `format` is raised when a field changes its meaning.
"""

from __future__ import annotations

from typing import Any

from chassis.oci.descriptor import LayerFile
from chassis.oci.explain.difference import Difference
from chassis.oci.explain.image import ExplainedImage, ExplainedLayer
from chassis.oci.explain.packages import Package

FORMAT = 1


def image_document(image: ExplainedImage, difference: Difference | None = None) -> dict[str, Any]:
    """The image with every file of every layer, and the difference from another if one is given."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "name": image.name,
        "digest": image.digest,
        "platform": image.platform,
        "size": image.size,
        "plain_size": image.plain_size,
        "files": image.file_count,
        "layers": [layer_document(layer, image.share(layer.size)) for layer in image.layers],
    }
    if difference:
        document["difference"] = difference_document(difference)
    return document


def layer_document(layer: ExplainedLayer, share: float) -> dict[str, Any]:
    """One layer; `share` is its part of the image's size, 0 to 1."""
    return {
        "number": layer.number,
        "digest": layer.descriptor.digest,
        "diff_id": layer.diff_id,
        "mediaType": layer.descriptor.media_type,
        "origin": {"kind": layer.origin.kind, "name": layer.origin.name, "version": layer.origin.version},
        "why": layer.why,
        "size": layer.size,
        "plain_size": layer.plain_size or None,
        "share": round(share, 6),
        "known_from": layer.source,
        "packages": [_package(package) for package in layer.packages],
        "files": [file.to_json() for file in layer.files],
    }


def _package(package: Package) -> dict[str, Any]:
    return {
        "kind": package.kind,
        "name": package.name,
        "version": package.version,
        "size": package.size,
        "plain_size": package.plain_size,
        "files": sum(file.type != "dir" for file in package.files),
    }


def difference_document(difference: Difference) -> dict[str, Any]:
    """What changed."""
    return {
        "from": {"name": difference.before.name, "digest": difference.before.digest},
        "to": {"name": difference.after.name, "digest": difference.after.digest},
        "fetch_size": difference.fetch_size,
        "chained_fetch_size": difference.chained_size,
        "complete": difference.complete,
        "layers": {
            "fetched": [_layer(layer) for layer in difference.fetched],
            "shared": [_layer(layer) for layer in difference.shared],
            "gone": [_layer(layer) for layer in difference.gone],
        },
        "packages": [
            {"kind": change.kind, "name": change.name, "before": change.before, "after": change.after}
            for change in difference.packages
        ],
        "files": [
            {"path": change.path, "before": _file(change.before), "after": _file(change.after)}
            for change in difference.files
        ],
    }


def _layer(layer: ExplainedLayer) -> dict[str, Any]:
    return {"number": layer.number, "digest": layer.descriptor.digest, "size": layer.size, "origin": str(layer.origin)}


def _file(file: LayerFile | None) -> dict[str, Any] | None:
    return file.to_json() if file else None

"""What changed between two images, and what a machine that has the one fetches to get the other.

A registry moves whole layers by digest. Stores that know a layer only together with all that lies below it (Docker's
classic image store keys them by chain ID: OCI image specification, config.md, "Layer ChainID") fetch everything above
the first change again; the containers' and containerd's stores do not.
"""

from __future__ import annotations

from dataclasses import dataclass

from chassis.oci.descriptor import LayerFile
from chassis.oci.explain.image import ExplainedImage, ExplainedLayer
from chassis.oci.layer.paths import OPAQUE, WHITEOUT


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package whose version changed; None if it is not in the image."""

    kind: str
    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class FileChange:
    """A path that is there in one of the images only, or differs."""

    path: str
    before: LayerFile | None
    after: LayerFile | None

    @property
    def growth(self) -> int:
        """Bytes that it adds to the image's files."""
        return (self.after.size if self.after else 0) - (self.before.size if self.before else 0)


@dataclass(frozen=True, slots=True)
class Difference:
    """What leads from one image to another.

    `fetched` are layers of the new image that the old one lacks, `shared` those that both have, `gone` layers of the
    old one alone. `fetch_size` counts manifest and configuration too. `chained_size` is the same for a store that
    knows a layer by all below it. `complete` is false if some layer's files are not known.
    """

    before: ExplainedImage
    after: ExplainedImage
    fetched: tuple[ExplainedLayer, ...]
    shared: tuple[ExplainedLayer, ...]
    gone: tuple[ExplainedLayer, ...]
    fetch_size: int
    chained_size: int
    packages: tuple[PackageChange, ...]
    files: tuple[FileChange, ...]
    complete: bool


def compare(before: ExplainedImage, after: ExplainedImage) -> Difference:
    """What changed from `before` to `after`."""
    had = {layer.descriptor.digest for layer in before.layers}
    has = {layer.descriptor.digest for layer in after.layers}
    fetched = tuple(layer for layer in after.layers if layer.descriptor.digest not in had)
    documents = after.documents_size if before.digest != after.digest else 0
    return Difference(
        before=before,
        after=after,
        fetched=fetched,
        shared=tuple(layer for layer in after.layers if layer.descriptor.digest in had),
        gone=tuple(layer for layer in before.layers if layer.descriptor.digest not in has),
        fetch_size=sum(layer.size for layer in fetched) + documents,
        chained_size=sum(layer.size for layer in after.layers[_common(before, after) :]) + documents,
        packages=_packages(before, after),
        files=_files(before, after),
        complete=all(layer.source != "nothing" for image in (before, after) for layer in image.layers),
    )


def _common(before: ExplainedImage, after: ExplainedImage) -> int:
    """How many layers from the bottom up are the same."""
    count = 0
    for old, new in zip(before.layers, after.layers, strict=False):
        if old.diff_id != new.diff_id:
            break
        count += 1
    return count


def _packages(before: ExplainedImage, after: ExplainedImage) -> tuple[PackageChange, ...]:
    old, new = before.packages(), after.packages()
    return tuple(
        PackageChange(*key, old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    )


def _files(before: ExplainedImage, after: ExplainedImage) -> tuple[FileChange, ...]:
    old, new = installed(before), installed(after)
    return tuple(
        FileChange(path, old.get(path), new.get(path))
        for path in sorted(old.keys() | new.keys())
        if _differ(old.get(path), new.get(path))
    )


def _differ(old: LayerFile | None, new: LayerFile | None) -> bool:
    if old is None or new is None:
        found = old or new
        return found is not None and found.type != "dir"
    return (old.type, old.mode, old.digest, old.link) != (new.type, new.mode, new.digest, new.link)


def installed(image: ExplainedImage) -> dict[str, LayerFile]:
    """Every path of the image once all layers are applied (OCI image specification, layer.md, "Whiteouts")."""
    found: dict[str, LayerFile] = {}
    for layer in image.layers:
        hidden = [file.path for file in layer.files if file.path.rpartition("/")[2].startswith(WHITEOUT)]
        for path in hidden:
            directory, slash, name = path.rpartition("/")
            place = directory if name == OPAQUE else directory + slash + name.removeprefix(WHITEOUT)
            below = [other for other in found if other.startswith(place + "/") or not place]
            for other in below:
                del found[other]
            if name != OPAQUE:
                found.pop(place, None)
        for file in layer.files:
            if not file.path.rpartition("/")[2].startswith(WHITEOUT):
                found[file.path] = file
    return found

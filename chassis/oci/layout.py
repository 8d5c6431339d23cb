"""Writes an OCI image layout of one image: its documents (index, manifest, configuration), and links to the layers.

Specification: OCI image specification, image-layout.md, manifest.md, config.md. Documents are made of descriptors
alone: layers are never read for them, nor need they be there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chassis.declaration.image_limits import MAX_LAYERS
from chassis.errors import ChassisError
from chassis.oci import digest
from chassis.oci.descriptor import (
    MEDIA_TYPE_CONFIG,
    MEDIA_TYPE_INDEX,
    MEDIA_TYPE_LAYER,
    MEDIA_TYPE_LAYER_GZIP,
    MEDIA_TYPE_LAYER_ZSTD,
    MEDIA_TYPE_MANIFEST,
    Descriptor,
    LayerDescriptor,
    LayerFile,
    Platform,
)
from chassis.oci.layout_reader import LayoutReader

EPOCH = "1970-01-01T00:00:00Z"
REF_NAME = "org.opencontainers.image.ref.name"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_AS_OCI = {
    _DOCKER_LAYER: MEDIA_TYPE_LAYER,
    _DOCKER_LAYER + ".gzip": MEDIA_TYPE_LAYER_GZIP,
    _DOCKER_LAYER + ".zstd": MEDIA_TYPE_LAYER_ZSTD,
}
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DEFAULT_VARIANTS = {"arm64": "v8"}


class ImageError(ChassisError):
    """An image cannot be put together from what it was given."""


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """A layer to install: its descriptor, the blob's path (not opened) where it is to be linked to, and the paths
    that it installs.
    """

    layer: LayerDescriptor
    blob: Path | None = None
    files: tuple[LayerFile, ...] = ()


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How the image starts; what is empty here is the base's (OCI image specification, config.md,
    `config`).
    """

    env: dict[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    exposed_ports: tuple[str, ...] = ()
    path_first: str = ""
    """Directory that comes before the base's PATH, if `env` has no PATH of its own."""


@dataclass(frozen=True, slots=True)
class BaseImage:
    """What an image takes over from the layout that it is built on.

    `config` is the base's whole configuration object; `blobs` has the file of each of `layers`, or nothing; `digest`
    is its manifest's.
    """

    layers: tuple[Descriptor, ...] = ()
    blobs: tuple[Path, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    digest: str = ""


def read_base(path: Path, platform: Platform, documents_only: bool = False) -> BaseImage:
    """The image for `platform` in an OCI layout directory, every document's digest and every layer's size
    checked. With `documents_only` its layers need not be there, and `blobs` is empty.

    Raises:
      ImageError: the base has another architecture.
      LayoutError: the layout is damaged, or has none or several images for the platform.
    """
    reader = LayoutReader(path)
    found = [manifest for manifest in reader.walk(reader.entry()) if manifest.blobs]
    platforms = {config.architecture for config in map(reader.config, found)}
    if platform.architecture not in platforms:
        raise ImageError(
            f"base image {path} is for {', '.join(sorted(platforms)) or 'nothing'}, but the image is for "
            f"{platform.architecture}; give `base` an image of that architecture"
        )
    manifest, _ = reader.image(platform.architecture)
    config = json.loads(reader.document(manifest.blobs[0]))
    layers = manifest.blobs[1:]
    return BaseImage(
        layers=tuple(replace(layer, media_type=_AS_OCI.get(layer.media_type, layer.media_type)) for layer in layers),
        blobs=() if documents_only else tuple(reader.blob_path(layer) for layer in layers),
        config=config,
        digest=manifest.descriptor.digest,
    )


def default_platform(architecture: str, os_name: str = "linux", variant: str = "") -> Platform:
    """A platform with the variant that its architecture has unless told: v8 for arm64."""
    return Platform(architecture, os_name, variant or _DEFAULT_VARIANTS.get(architecture, ""))


def write_layout(
    output: Path,
    platform: Platform,
    layers: tuple[ImageLayer, ...],
    settings: RunSettings,
    base: BaseImage | None = None,
    ref_name: str = "",
) -> Descriptor:
    """Writes the documents (see `write_documents`) and links to the layers."""
    descriptor = write_documents(output, platform, layers, settings, base, ref_name)
    base = base or BaseImage()
    linked = [*zip(base.layers, base.blobs, strict=True)]
    linked += [(layer.layer.descriptor, layer.blob) for layer in layers if layer.blob]
    _link(output, linked)
    return descriptor


def write_documents(
    output: Path,
    platform: Platform,
    layers: tuple[ImageLayer, ...],
    settings: RunSettings,
    base: BaseImage | None = None,
    ref_name: str = "",
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:
    """Writes a layout without its layers into `output`, an empty or missing directory, and returns the manifest's
    descriptor. index.json comes last. Without `annotations` the manifest has none.

    Raises:
      ImageError: two layers install different things at one path, there are more than 127 of them, or
        `output` is not empty.
    """
    check_collisions(layers)
    base = base or BaseImage()
    if (count := len(base.layers) + len(layers)) > MAX_LAYERS:
        raise ImageError(
            f"{count} layers, {len(base.layers)} of them of the base; runtimes take no more than {MAX_LAYERS}\n"
            "  set `wheel_layers` of the chassis_image to a lower number, and more wheels share a layer"
        )
    config = _encoded(_config(platform, layers, settings, base))
    config_descriptor = Descriptor(MEDIA_TYPE_CONFIG, digest.of_bytes(config), len(config))
    descriptors = [*base.layers, *(layer.layer.descriptor for layer in layers)]
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPE_MANIFEST,
        "config": config_descriptor.to_json(),
        "layers": [descriptor.to_json() for descriptor in descriptors],
    }
    if annotations:
        document["annotations"] = dict(sorted(annotations.items()))
    manifest = _encoded(document)
    named = {REF_NAME: ref_name} if ref_name else {}
    descriptor = Descriptor(MEDIA_TYPE_MANIFEST, digest.of_bytes(manifest), len(manifest), named, platform)
    index = {"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": [descriptor.to_json()]}
    blobs = _new_layout(output)
    for data, named_by in ((config, config_descriptor), (manifest, descriptor)):
        _write(blobs / digest.hex_of(named_by.digest), data)
    _write(output / "oci-layout", _encoded({"imageLayoutVersion": "1.0.0"}))
    _write(output / "index.json", _encoded(index))
    return descriptor


def complete_layout(output: Path, documents: Path, layers: Sequence[Path], base: Path | None = None) -> None:
    """Writes the layout of one image into `output`: the documents of another directory, and links to the layers.

    `layers` are the blobs of the image's own layers, lowest first; those below are in the layout `base`. Links are
    relative, and lead to the paths given. Nothing but sizes is read of a blob.

    Raises:
      ImageError: there are more or fewer blobs than the image has layers, or one has another size.
      LayoutError: `documents` or `base` is damaged.
    """
    reader = LayoutReader(documents)
    manifest, _ = reader.image()
    config, *descriptors = manifest.blobs
    below = len(descriptors) - len(layers)
    if below < 0 or (below and base is None):
        raise ImageError(f"{documents}: its image has {len(descriptors)} layers, {len(layers)} blobs were given")
    linked = list(zip(descriptors[below:], layers, strict=True))
    for named, blob in linked:
        if (size := blob.stat().st_size) != named.size:
            raise ImageError(f"{blob}: has {size} bytes, layer {named.digest} has {named.size}")
    if base is not None:
        base_reader = LayoutReader(base)
        linked += [(named, base_reader.blob_path(named)) for named in descriptors[:below]]
    blobs = _new_layout(output)
    for named in (config, manifest.descriptor):
        _write(blobs / digest.hex_of(named.digest), reader.document(named))
    _link(output, linked)
    for name in ("oci-layout", "index.json"):
        _write(output / name, (documents / name).read_bytes())


def _new_layout(output: Path) -> Path:
    blobs = output / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    if any(blobs.iterdir()) or (output / "index.json").exists():
        raise ImageError(f"{output}: is not empty; a layout is written into a directory of its own")
    return blobs


def _link(output: Path, linked: Iterable[tuple[Descriptor, Path]]) -> None:
    blobs = output / "blobs" / "sha256"
    for named, blob in linked:
        link = blobs / digest.hex_of(named.digest)
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(blob, blobs))


def check_collisions(layers: tuple[ImageLayer, ...]) -> None:
    """Raises `ImageError` if two layers install different things at one path; it names path and origins.

    Directories of one mode may be in many layers, and so may files of the same content and links of the same
    target.
    """
    seen: dict[str, tuple[tuple[str, str], LayerFile, ImageLayer]] = {}
    for layer in layers:
        digests = {file.path: file.digest for file in layer.files}
        for file in layer.files:
            what = _content(file, digests)
            other = seen.setdefault(file.path, (what, file, layer))
            if other[0] != what:
                raise ImageError(
                    f"/{file.path} is installed differently by two layers:\n"
                    f"  {other[2].layer.origin}: {_described(other[1])}\n"
                    f"  {layer.layer.origin}: {_described(file)}\n"
                    "  remove one of the two from the image, or make them agree"
                )


def _content(file: LayerFile, digests: dict[str, str]) -> tuple[str, str]:
    if file.type == "hardlink":
        return "file", digests.get(file.link, "")
    return file.type, {"file": file.digest, "symlink": file.link}.get(file.type, oct(file.mode))


def _described(file: LayerFile) -> str:
    if file.type == "file":
        return f"a file of {file.size} bytes, {file.digest}"
    if file.type == "dir":
        return f"a directory of mode {file.mode:04o}"
    return f"a {file.type} to {file.link}"


def _config(
    platform: Platform, layers: tuple[ImageLayer, ...], settings: RunSettings, base: BaseImage
) -> dict[str, Any]:
    inherited = base.config.get("config") or {}
    env = dict(entry.partition("=")[::2] for entry in inherited.get("Env") or [])
    if settings.path_first:
        env["PATH"] = f"{settings.path_first}:{env.get('PATH') or _DEFAULT_PATH}"
    env |= settings.env
    entrypoint = list(settings.entrypoint)
    # A new entry point makes the base's default arguments meaningless.
    cmd = list(settings.cmd) or ([] if entrypoint else inherited.get("Cmd") or [])
    runs = {
        **inherited,
        "User": settings.user or inherited.get("User"),
        "ExposedPorts": (inherited.get("ExposedPorts") or {}) | {port: {} for port in settings.exposed_ports},
        "Env": [f"{name}={value}" for name, value in sorted(env.items())],
        "Entrypoint": entrypoint or inherited.get("Entrypoint"),
        "Cmd": cmd,
        "WorkingDir": settings.working_dir or inherited.get("WorkingDir"),
        "Labels": (inherited.get("Labels") or {}) | settings.labels,
    }
    diff_ids = [*_base_diff_ids(base), *(layer.layer.diff_id for layer in layers)]
    return {
        "created": EPOCH,
        **platform.to_json(),
        "config": {key: _in_order(value) for key, value in runs.items() if value},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [*_base_history(base), *(_history(str(layer.layer.origin)) for layer in layers)],
    }


def _base_diff_ids(base: BaseImage) -> list[str]:
    return list((base.config.get("rootfs") or {}).get("diff_ids") or [])


def _base_history(base: BaseImage) -> list[dict[str, Any]]:
    """The base's own history if it has an entry for each layer, else plain entries."""
    history = base.config.get("history") or []
    if sum(not entry.get("empty_layer") for entry in history) == len(base.layers):
        return history
    return [_history("base image") for _ in base.layers]


def _history(origin: str) -> dict[str, Any]:
    return {"created": EPOCH, "created_by": f"chassis: {origin}"}


def _in_order(value: Any) -> Any:
    return dict(sorted(value.items())) if isinstance(value, dict) else value


def _encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o644)

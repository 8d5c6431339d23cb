"""Descriptors: what names a blob in OCI, and what a layer tells of itself beyond that.

Specification: OCI image specification, descriptor.md, media-types.md and config.md (`rootfs.diff_ids`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chassis.errors import ChassisError
from chassis.oci.digest import check_digest

MEDIA_TYPE_INDEX = "application/vnd.oci.image.index.v1+json"
MEDIA_TYPE_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MEDIA_TYPE_CONFIG = "application/vnd.oci.image.config.v1+json"
MEDIA_TYPE_LAYER = "application/vnd.oci.image.layer.v1.tar"
MEDIA_TYPE_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
MEDIA_TYPE_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"


class DescriptorError(ChassisError):
    """A descriptor lacks a field or holds one of the wrong type."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What a manifest runs on: Go's names for CPU and system, and the CPU's variant (`v8` for arm64)."""

    architecture: str
    os: str = "linux"
    variant: str = ""
    os_features: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The `platform` object of a descriptor; empty fields are left out."""
        out: dict[str, Any] = {"architecture": self.architecture, "os": self.os}
        if self.variant:
            out["variant"] = self.variant
        if self.os_features:
            out["os.features"] = list(self.os_features)
        return out

    @classmethod
    def from_json(cls, data: Any, where: str) -> Platform:
        """Reads a `platform` object, or a configuration, which has the same fields."""
        fields = _object(data, where)
        features = fields.get("os.features") or []
        if not isinstance(features, list) or not all(isinstance(feature, str) for feature in features):
            raise DescriptorError(f"{where}: `os.features` is not a list of strings")
        return cls(
            architecture=_text(fields, "architecture", where),
            os=_text(fields, "os", where),
            variant=_text(fields, "variant", where, default=""),
            os_features=tuple(features),
        )

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob by media type, digest and size in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = field(default_factory=dict)
    platform: Platform | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON object in the order that the specification lists; empty fields are left out."""
        out: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.annotations:
            out["annotations"] = dict(sorted(self.annotations.items()))
        if self.platform:
            out["platform"] = self.platform.to_json()
        return out

    @classmethod
    def from_json(cls, data: Any, where: str) -> Descriptor:
        """Reads a descriptor; `where` names the document in errors."""
        fields = _object(data, where)
        annotations = fields.get("annotations") or {}
        if not isinstance(annotations, dict) or not all(isinstance(v, str) for v in annotations.values()):
            raise DescriptorError(f"{where}: `annotations` is not an object of strings")
        platform = fields.get("platform")
        return cls(
            media_type=_text(fields, "mediaType", where),
            digest=check_digest(fields.get("digest"), f"{where}: `digest`"),
            size=_size(fields, "size", where),
            annotations=annotations,
            platform=Platform.from_json(platform, where) if platform is not None else None,
        )


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a layer comes from.

    `kind` is one of wheel, wheels (several that share a layer), base, runtime, code, data, model; `name` the
    distribution or distributions, target or file; `version` may be empty.
    """

    kind: str
    name: str
    version: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.kind, self.name, self.version) if part)


@dataclass(frozen=True, slots=True)
class Part:
    """One of several packages in a layer, which lie in it one after the other.

    `entries` is how many of the layer's paths are its own, in the order of the archive; `size` how many bytes
    of the blob, to within a tar header.
    """

    name: str
    version: str
    entries: int
    size: int

    def to_json(self) -> dict[str, Any]:
        """One element of `parts` in what layer tools write."""
        return {"name": self.name, "version": self.version, "entries": self.entries, "size": self.size}

    @classmethod
    def from_json(cls, data: Any, where: str) -> Part:
        """Reads what `to_json` wrote; `where` names the file in errors."""
        fields = _object(data, where)
        return cls(
            name=_text(fields, "name", where),
            version=_text(fields, "version", where, default=""),
            entries=_size(fields, "entries", where),
            size=_size(fields, "size", where),
        )


@dataclass(frozen=True, slots=True)
class LayerDescriptor:
    """A layer's descriptor with what an image's configuration needs of it, the digest of the tar and its
    size, and what it is made of. `parts` is empty if it holds one package, or none.
    """

    descriptor: Descriptor
    diff_id: str
    uncompressed_size: int
    origin: Origin
    parts: tuple[Part, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object that layer tools write with `--descriptor`."""
        out: dict[str, Any] = {
            "mediaType": self.descriptor.media_type,
            "digest": self.descriptor.digest,
            "size": self.descriptor.size,
            "annotations": dict(sorted(self.descriptor.annotations.items())),
            "diff_id": self.diff_id,
            "uncompressed_size": self.uncompressed_size,
            "origin": {"kind": self.origin.kind, "name": self.origin.name, "version": self.origin.version},
        }
        if self.parts:
            out["parts"] = [part.to_json() for part in self.parts]
        return out

    @classmethod
    def from_json(cls, data: Any, where: str) -> LayerDescriptor:
        """Reads what `to_json` wrote; `where` names the file in errors."""
        fields = _object(data, where)
        origin = _object(fields.get("origin"), f"{where}: `origin`")
        parts = fields.get("parts") or []
        if not isinstance(parts, list):
            raise DescriptorError(f"{where}: `parts` is not a list")
        return cls(
            descriptor=Descriptor.from_json(fields, where),
            diff_id=check_digest(fields.get("diff_id"), f"{where}: `diff_id`"),
            uncompressed_size=_size(fields, "uncompressed_size", where),
            origin=Origin(
                kind=_text(origin, "kind", where),
                name=_text(origin, "name", where),
                version=_text(origin, "version", where, default=""),
            ),
            parts=tuple(Part.from_json(part, f"{where}: `parts`") for part in parts),
        )


@dataclass(frozen=True, slots=True)
class LayerFile:
    """One path that a layer installs.

    `path` has no leading slash; `type` is file, dir, symlink or hardlink; `mode` the permission bits; `size`
    in bytes and `digest` of the content for files, 0 and "" otherwise; `link` the target of links.
    """

    path: str
    type: str
    mode: int
    size: int = 0
    digest: str = ""
    link: str = ""

    def to_json(self) -> dict[str, Any]:
        """One element of the list that layer tools write with `--files`."""
        return {
            "path": self.path,
            "type": self.type,
            "mode": self.mode,
            "size": self.size,
            "digest": self.digest,
            "link": self.link,
        }

    @classmethod
    def from_json(cls, data: Any, where: str) -> LayerFile:
        """Reads what `to_json` wrote; `where` names the file in errors."""
        fields = _object(data, where)
        return cls(
            path=_text(fields, "path", where),
            type=_text(fields, "type", where),
            mode=_size(fields, "mode", where),
            size=_size(fields, "size", where),
            digest=_text(fields, "digest", where, default=""),
            link=_text(fields, "link", where, default=""),
        )


def read_json(path: Path) -> Any:
    """The JSON document in a file, with an error that names the file if it is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DescriptorError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise DescriptorError(f"{path}: is not JSON: {error}") from None
    except RecursionError:
        raise DescriptorError(f"{path}: JSON nested too deep") from None


def given_json(given: str | Path) -> tuple[Any, str]:
    """The JSON object that an argument is, or that is in the file which it names; and what errors call it."""
    if not str(given).startswith("{"):
        return read_json(Path(given)), str(given)
    try:
        return json.loads(str(given)), "the JSON of the command line"
    except (ValueError, RecursionError) as error:
        raise DescriptorError(f"the JSON of the command line cannot be read: {error}") from None


def _object(data: Any, where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise DescriptorError(f"{where}: expected a JSON object, found {type(data).__name__}")
    return data


def _text(fields: dict[str, Any], name: str, where: str, default: str | None = None) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise DescriptorError(f"{where}: `{name}` is missing or not a string")
    return value


def _size(fields: dict[str, Any], name: str, where: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise DescriptorError(f"{where}: `{name}` is missing or not a size")
    return value

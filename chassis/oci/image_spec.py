"""Reads the specification of an image: a JSON document that names layers, base and settings.

    {"architecture": "arm64", "variant": "v8", "os": "linux", "ref_name": "latest",
     "layers": [{"descriptor": PATH, "files": PATH}, …],
     "base_layout": PATH or null,
     "annotations": {…}, "status_files": [PATH, …] or null,
     "config": {"env": {…}, "entrypoint": […], "cmd": […], "user": "65532:65532", "working_dir": "/app",
                "labels": {…}, "exposed_ports": ["8080/tcp"]}}

`status_files` are those of a stamped build. Only `architecture` and `layers` must be there.
Paths are relative to the working directory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.oci.descriptor import LayerDescriptor, LayerFile, Platform, given_json, read_json
from chassis.oci.layout import ImageError, ImageLayer, RunSettings, default_platform

_KEYS = {"architecture", "variant", "os", "ref_name", "layers", "base_layout", "config", "annotations", "status_files"}
_CONFIG_KEYS = {"env", "entrypoint", "cmd", "user", "working_dir", "labels", "exposed_ports"}


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """What an image is made of."""

    platform: Platform
    layers: tuple[ImageLayer, ...]
    settings: RunSettings
    base_layout: Path | None
    ref_name: str
    annotations: dict[str, str]
    status_files: tuple[Path, ...] | None


def read_files(path: Path) -> tuple[LayerFile, ...]:
    """The list of files that a layer tool wrote."""
    listed = read_json(path)
    if not isinstance(listed, list):
        raise ImageError(f"{path}: a list of files is expected")
    return tuple(LayerFile.from_json(item, str(path)) for item in listed)


def read_spec(given: str | Path, read: Callable[[Path], tuple[LayerFile, ...]] = read_files) -> ImageSpec:
    """Reads a specification, JSON or a file of it, the descriptors and, by `read`, the lists of files that it names.

    Raises:
      ImageError: a key is unknown or missing, or holds a value of another type.
    """
    document, where = given_json(given)
    fields = _checked(document, _KEYS, where)
    architecture = _text(fields, "architecture", where)
    if not architecture:
        raise ImageError(f"{where}: `architecture` is missing")
    listed = fields.get("layers")
    if not isinstance(listed, list):
        raise ImageError(f"{where}: `layers` is missing or not a list")
    base = _text(fields, "base_layout", where)
    stamped = fields.get("status_files")
    return ImageSpec(
        platform=default_platform(architecture, _text(fields, "os", where) or "linux", _text(fields, "variant", where)),
        layers=tuple(_layer(item, f"{where}: layers[{i}]", read) for i, item in enumerate(listed)),
        settings=_settings(fields.get("config") or {}, f"{where}: config"),
        base_layout=Path(base) if base else None,
        ref_name=_text(fields, "ref_name", where),
        annotations=_mapping(fields, "annotations", where),
        status_files=None if stamped is None else tuple(Path(name) for name in _texts(fields, "status_files", where)),
    )


def _layer(item: Any, where: str, read: Callable[[Path], tuple[LayerFile, ...]]) -> ImageLayer:
    fields = _checked(item, {"descriptor", "files"}, where)
    descriptor = _text(fields, "descriptor", where)
    if not descriptor:
        raise ImageError(f"{where}: `descriptor` is needed")
    files = _text(fields, "files", where)
    return ImageLayer(
        layer=LayerDescriptor.from_json(read_json(Path(descriptor)), descriptor),
        files=read(Path(files)) if files else (),
    )


def _settings(item: Any, where: str) -> RunSettings:
    fields = _checked(item, _CONFIG_KEYS, where)
    return RunSettings(
        env=_mapping(fields, "env", where),
        entrypoint=_texts(fields, "entrypoint", where),
        cmd=_texts(fields, "cmd", where),
        user=_text(fields, "user", where),
        working_dir=_text(fields, "working_dir", where),
        labels=_mapping(fields, "labels", where),
        exposed_ports=_texts(fields, "exposed_ports", where),
    )


def _checked(item: Any, keys: set[str], where: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise ImageError(f"{where}: a JSON object is expected")
    if unknown := sorted(item.keys() - keys):
        raise ImageError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(keys))}")
    return item


def _text(fields: dict[str, Any], name: str, where: str) -> str:
    value = fields.get(name) or ""
    if not isinstance(value, str):
        raise ImageError(f"{where}: `{name}` is not a string")
    return value


def _texts(fields: dict[str, Any], name: str, where: str) -> tuple[str, ...]:
    value = fields.get(name) or []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ImageError(f"{where}: `{name}` is not a list of strings")
    return tuple(value)


def _mapping(fields: dict[str, Any], name: str, where: str) -> dict[str, str]:
    value = fields.get(name) or {}
    if not isinstance(value, dict) or not all(isinstance(entry, str) for entry in value.values()):
        raise ImageError(f"{where}: `{name}` is not an object of strings")
    return value

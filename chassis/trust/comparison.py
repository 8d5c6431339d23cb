"""What differs between a published image and the one that its provenance makes: the inputs first, by name.

Both images are given as their documents: manifest, configuration and provenance. No layer is read: a layer is known by
its origin in the configuration's history, by its digest, and by the digest of what it holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from packageurl import PackageURL

from chassis.oci.json_document import read_object
from chassis.trust.errors import RecordError

ABSENT = "nothing"
_SHOWN_DIGITS = 12
_MOST_SHOWN = 200
_CONFIG_MAPS = {"Labels": "label", "Env": "environment variable"}
# What a layer is made of, by its kind: if one of these differs, so does the layer.
_MADE_OF = {
    "base": ("deb", "base"),
    "code": ("source",),
    "data": ("source", "wheel"),
    "model": ("source", "wheel"),
    "wheel": ("wheel",),
    "wheels": ("wheel",),
}


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """The documents of one image: manifest and configuration as they are stored, and its provenance's predicate."""

    manifest: bytes
    config: bytes
    provenance: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Layer:
    kind: str
    origin: str
    digest: str
    diff_id: str


def differences(published: ImageRecord, built: ImageRecord) -> list[str]:
    """What differs, a line each: parameters, settings of the image, dependencies, then layers that those do not
    explain. An empty list says that the manifests are the same bytes.

    Raises:
      RecordError: a document is not of its form.
    """
    if published.manifest == built.manifest:
        return []
    try:
        parameters = list(_parameters(published.provenance, built.provenance))
        changed, dependencies = _dependencies(published.provenance, built.provenance)
        found = [*parameters, *_settings(published, built), *dependencies]
        found += _layers(published, built, changed, explained=bool(parameters))
        if not found:
            found.append("the manifest: the same inputs and layers, written otherwise")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RecordError(f"the documents of the two images cannot be compared: {error!r}") from None
    more = [f"and {len(found) - _MOST_SHOWN} more"] if len(found) > _MOST_SHOWN else []
    return found[:_MOST_SHOWN] + more


def _said(what: str, before: object, after: object) -> str:
    return f"{what}: {before} published, {after} made again"


def _unequal(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            yield key, before.get(key, ABSENT), after.get(key, ABSENT)


def _parameters(published: Mapping[str, Any], built: Mapping[str, Any]) -> Iterator[str]:
    for part in ("externalParameters", "internalParameters"):
        before, after = (one["buildDefinition"].get(part) or {} for one in (published, built))
        for key, old, new in _unequal(before, after):
            if isinstance(old, dict) and isinstance(new, dict):
                name = key.removesuffix("s")
                yield from (_said(f"{name} {inner}", was, now) for inner, was, now in _unequal(old, new))
            else:
                yield _said(f"parameter {key}", old, new)


def _dependencies(published: Mapping[str, Any], built: Mapping[str, Any]) -> tuple[set[str], list[str]]:
    """The kinds of dependencies that differ, and a line for each that does."""
    before, after = (_by_name(one["buildDefinition"]["resolvedDependencies"]) for one in (published, built))
    kinds, found = set(), []
    for key in sorted({*before, *after}):
        was, now = before.get(key), after.get(key)
        if was is None or now is None or _identity(was) != _identity(now):
            kinds.add(key[0])
            where = ((was or {}).get("annotations") or (now or {}).get("annotations") or {}).get("lock", "")
            found.append(_said(" ".join(key) + (f" ({where})" if where else ""), _shown(was), _shown(now)))
    return kinds, found


def _by_name(entries: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Dependencies by kind and name, without the commit, which both are of; layers of a base by their place."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    places = 0
    for entry in entries:
        kind, uri = str(entry.get("name", "")), str(entry.get("uri", ""))
        if kind == "commit":
            continue
        if kind == "base":
            places += 1
        found[kind, f"layer {places}" if kind == "base" else _name_of(uri)] = entry
    return found


def _name_of(uri: str) -> str:
    if uri.startswith("pkg:"):
        package = PackageURL.from_string(uri)
        architecture = dict(package.qualifiers or {}).get("arch", "")
        return str(package.name) + (f":{architecture}" if architecture else "")
    return uri.partition(":")[2] or uri


def _identity(entry: Mapping[str, Any]) -> tuple[object, object]:
    return entry.get("uri"), entry.get("digest")


def _shown(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return ABSENT
    uri = str(entry.get("uri", ""))
    version = PackageURL.from_string(uri).version or "" if uri.startswith("pkg:") else ""
    digest = str((entry.get("digest") or {}).get("sha256", ""))[:_SHOWN_DIGITS]
    return " ".join(part for part in (version, f"sha256:{digest}…" if digest else "") if part) or uri


def _settings(published: ImageRecord, built: ImageRecord) -> Iterator[str]:
    """What the configurations and the manifests say beside their layers."""
    before, after = (read_object(one.config, "a configuration", RecordError) for one in (published, built))
    for key, old, new in _unequal(before.get("config") or {}, after.get("config") or {}):
        if key in _CONFIG_MAPS:
            pairs = (_unequal(_mapping(old), _mapping(new)),)
            yield from (_said(f"{_CONFIG_MAPS[key]} {inner}", was, now) for inner, was, now in pairs[0])
        else:
            yield _said(f"the image's {key}", json.dumps(old), json.dumps(new))
    own = {"config", "rootfs", "history"}
    rest = [{key: value for key, value in one.items() if key not in own} for one in (before, after)]
    yield from (_said(f"the configuration's {key}", old, new) for key, old, new in _unequal(*rest))
    manifests = [read_object(one.manifest, "a manifest", RecordError) for one in (published, built)]
    annotations = [one.get("annotations") or {} for one in manifests]
    yield from (_said(f"annotation {key}", old, new) for key, old, new in _unequal(*annotations))


def _mapping(value: object) -> dict[str, Any]:
    if isinstance(value, list):
        return dict(str(entry).partition("=")[::2] for entry in value)
    return dict(value) if isinstance(value, dict) else {}


def _layers(published: ImageRecord, built: ImageRecord, changed: set[str], explained: bool) -> Iterator[str]:
    """The layers that differ though nothing that they are made of does: the programs that make them differ."""
    before, after = _own_layers(published), _own_layers(built)
    held, holds = _contents(published), _contents(built)
    recompressed = []
    for key in [*before, *(key for key in after if key not in before)]:
        was, now = before.get(key), after.get(key)
        if explained or (was and now and was.digest == now.digest):
            continue
        layer = was or now
        assert layer is not None
        if was and now and _same_content(was, now, held, holds):
            recompressed.append(layer.origin)
        elif changed.isdisjoint(_MADE_OF.get(layer.kind, ())):
            yield _said(*_layer_line(layer, was, now))
    if recompressed:
        first = f"{recompressed[0]} and {len(recompressed) - 1} more" if len(recompressed) > 1 else recompressed[0]
        yield f"the compressor: by the images' own documents, layers of the same content have other bytes: {first}"


def _same_content(was: _Layer, now: _Layer, held: Mapping[str, str], holds: Mapping[str, str]) -> bool:
    """Whether two layers hold the same: by what provenance says if both images' does, else by what is unpacked."""
    contents = held.get(was.digest), holds.get(now.digest)
    return contents[0] == contents[1] if all(contents) else was.diff_id == now.diff_id


def _contents(image: ImageRecord) -> dict[str, str]:
    """The digest of what a layer holds, by the layer's: provenance of an older Chassis does not have it, and that of
    others may have byproducts of other kinds."""
    found = {}
    for one in (image.provenance.get("runDetails") or {}).get("byproducts") or []:
        sha256, content = (one.get("digest") or {}).get("sha256"), (one.get("annotations") or {}).get("content")
        if one.get("name") == "layer" and sha256 and content:
            found[f"sha256:{sha256}"] = str(content)
    return found


def _layer_line(layer: _Layer, was: _Layer | None, now: _Layer | None) -> tuple[str, str, str]:
    what = "the server" if layer.kind == "runtime" else f"the layer {layer.origin}, made of the same inputs"
    shown = [f"{one.diff_id[: 7 + _SHOWN_DIGITS]}…" if one else ABSENT for one in (was, now)]
    return f"{what} ({layer.origin})" if layer.kind == "runtime" else what, shown[0], shown[1]


def _own_layers(image: ImageRecord) -> dict[tuple[str, int], _Layer]:
    """Layers by what they are of, without its version, and how many of that came before."""
    config = read_object(image.config, "a configuration", RecordError)
    layers = read_object(image.manifest, "a manifest", RecordError)["layers"]
    diff_ids = config["rootfs"]["diff_ids"]
    history = [entry for entry in config.get("history") or [] if not entry.get("empty_layer")]
    origins = [str(entry.get("created_by", "")).removeprefix("chassis: ") for entry in history]
    if len(origins) != len(layers):
        origins = [""] * len(layers)
    found: dict[tuple[str, int], _Layer] = {}
    for origin, layer, diff_id in zip(origins, layers, diff_ids, strict=True):
        words = origin.split()
        kind = words[0] if words else "layer"
        name = " ".join(words[:2]) if kind == "wheel" else kind
        count = sum(1 for known, _ in found if known == name)
        found[name, count] = _Layer(kind, origin or f"number {len(found) + 1}", layer["digest"], diff_id)
    return found

"""Where the doctor's input comes from: an image of this build by its specification, or any OCI layout.

The specification that the build writes, paths relative to the working directory:

    {"name": "//model:image", "architecture": "arm64", "variant": "v8", "accelerator": "none", "cpu": "",
     "features": [], "env": {…}, "entrypoint": […], "cmd": […], "labels": {…}, "allow": {"ELF005": "reason"},
     "base_facts": PATH or null, "facts": [PATH, …]}
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.doctor.cpu import features_of, known_cpus
from chassis.doctor.extraction import extract
from chassis.doctor.facts import Facts, LayerFacts, Start, read_facts
from chassis.doctor.image import Image, ImageTarget
from chassis.doctor.waivers import Waiver, read_waivers, waivers_of_labels
from chassis.errors import ChassisError
from chassis.oci.descriptor import Descriptor, Origin, given_json
from chassis.oci.layout_reader import LayoutReader, Manifest

_HISTORY = "chassis: "
_MAX_PROCESSES = 8
_SIDE_BY_SIDE_BYTES = 8 << 20  # Less is read before other processes have started.


class SpecificationError(ChassisError):
    """A specification for the doctor lacks a field, or has one of another type."""


@dataclass(frozen=True, slots=True)
class Examination:
    """An image to look at, its name for people, and what is accepted of it."""

    name: str
    image: Image
    waivers: tuple[Waiver, ...]


def from_specification(given: str | Path, read: Callable[[Path], Facts] = read_facts) -> Examination:
    """Reads a specification, JSON or a file of it, and, by `read`, the facts that it names.

    Raises:
      ChassisError: it, or facts, or a waiver, is not what it should be.
    """
    fields, where = given_json(given)
    try:
        base = read(Path(fields["base_facts"])) if fields["base_facts"] else Facts(())
        layers = [*base.layers]
        for facts in fields["facts"]:
            layers += read(Path(facts)).layers
        start = Start(
            environment=base.start.environment | fields["env"],
            entrypoint=tuple(fields["entrypoint"]) or base.start.entrypoint,
            command=tuple(fields["cmd"]) or (() if fields["entrypoint"] else base.start.command),
            labels=base.start.labels | fields["labels"],
            history=base.start.history,
        )
        target = ImageTarget(
            architecture=fields["architecture"],
            variant=fields["variant"],
            accelerator=fields["accelerator"],
            cpu=fields["cpu"],
            features=tuple(fields["features"]),
        )
        return Examination(fields["name"], Image(target, start, tuple(layers)), read_waivers(fields["allow"]))
    except (KeyError, TypeError) as error:
        raise SpecificationError(f"{where}: is not a specification for the doctor: {error!r}") from None


def facts_of_layout(path: Path, architecture: str = "") -> Facts:
    """The facts of an image in an OCI layout directory, every layer read.

    Raises:
      ChassisError: the layout has no image, or several, for the architecture, or is damaged.
    """
    reader = LayoutReader(path)
    manifest, config = reader.image(architecture)
    origins = _origins(reader, manifest)
    layers = _extract_all([*zip(map(reader.blob_path, manifest.blobs[1:]), manifest.blobs[1:], origins, strict=True)])
    history = tuple(str(entry.get("created_by", "")) for entry in _history(reader, manifest))
    start = Start(dict(config.environment), config.entrypoint, config.command, dict(config.labels), history)
    return Facts(layers, start)


def _history(reader: LayoutReader, manifest: Manifest) -> list[dict[str, Any]]:
    history = json.loads(reader.document(manifest.blobs[0])).get("history") or []
    return [entry for entry in history if isinstance(entry, dict)]


def _extract_all(layers: list[tuple[Path, Descriptor, Origin]]) -> tuple[LayerFacts, ...]:
    """The facts of layers that others may have made, read side by side, the largest first."""
    if sum(layer.size for _, layer, _ in layers) < _SIDE_BY_SIDE_BYTES:
        return tuple(extract(*layer, trusted=False) for layer in layers)
    order = sorted(range(len(layers)), key=lambda number: -layers[number][1].size)
    with ProcessPoolExecutor(max(1, min(os.cpu_count() or 1, _MAX_PROCESSES, len(layers)))) as pool:
        futures = {number: pool.submit(extract, *layers[number], trusted=False) for number in order}
        return tuple(futures[number].result() for number in range(len(layers)))


def from_layout(path: Path, target: ImageTarget, allowed: dict[str, str]) -> Examination:
    """An image in an OCI layout directory, with the waivers that it records and those of `allowed`.

    Raises:
      ChassisError: as `facts_of_layout`; or the CPU is not known.
    """
    _, config = LayoutReader(path).image(target.architecture)
    if target.cpu and features_of(config.architecture, target.cpu) is None:
        known = ", ".join(known_cpus(config.architecture)) or "none"
        raise SpecificationError(
            f"{path}: is for {config.architecture}, of which the doctor knows no CPU {target.cpu!r}; it knows {known}"
        )
    facts = facts_of_layout(path, target.architecture)
    wanted = ImageTarget(
        architecture=config.architecture,
        variant=target.variant or config.variant,
        accelerator=target.accelerator,
        cpu=target.cpu,
        features=target.features,
    )
    waivers = read_waivers(waivers_of_labels(facts.start.labels) | allowed)
    return Examination(str(path), Image(wanted, facts.start, facts.layers), waivers)


def _origins(reader: LayoutReader, manifest: Manifest) -> list[Origin]:
    """Each layer's origin: by the image's history if this project's tools wrote it, else `base`."""
    layers: list[LayerFacts | Any] = list(manifest.blobs[1:])
    entries = [entry for entry in _history(reader, manifest) if not entry.get("empty_layer")]
    origins = []
    for number, layer in enumerate(layers):
        said = str(entries[number].get("created_by", "")) if len(entries) == len(layers) else ""
        kind, _, rest = said.removeprefix(_HISTORY).partition(" ")
        name, _, version = rest.partition(" ")
        if said.startswith(_HISTORY) and name:
            origins.append(Origin(kind, name, version))
        else:
            origins.append(Origin("base", f"layer {layer.digest[7:19]}"))
    return origins

"""The inventory of an image that this build made: from its documents, its layers' descriptors and facts, and the
records of its packages. No layer is read.

The specification of an image is a JSON object with `name` (the target), `documents` (the layout without layers),
`layers` (objects with `descriptor` and `facts`, lowest first), `records` (files of package records), `metadata` (the
model's), `model` and `version`, `python` (the minor version of the image's), and `accuracy` (case files of the tests
that the model's card tells of).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packageurl import PackageURL

from chassis.declaration.platforms import MACHINES
from chassis.declaration.pythons import whole_version
from chassis.declaration.wheel_target import marker_environment
from chassis.doctor.facts import read_facts
from chassis.oci.descriptor import LayerDescriptor, read_json
from chassis.oci.layout_reader import LayoutReader
from chassis.trust.component import APPLICATION, CONTAINER, FILE, MODEL, Component, Inventory
from chassis.trust.errors import RecordError
from chassis.trust.inventory import KnownLayer, native_libraries, package_components, with_native
from chassis.trust.package_record import PackageRecord, read_records

_MODEL_PICKLE = "app/model/model.pkl"


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """What `IMAGE.sbom` and `IMAGE.provenance` are made of; see the module."""

    name: str
    documents: Path
    layers: tuple[KnownLayer, ...]
    records: tuple[PackageRecord, ...]
    metadata: Mapping[str, Any]
    model: str
    version: str
    python: str
    parameters: Mapping[str, Any]
    sources: Mapping[str, Path]
    accuracy: tuple[Path, ...] = ()

    @property
    def digest(self) -> str:
        """The image's digest: that of its manifest."""
        return LayoutReader(self.documents).entry().digest


def read_spec(path: Path) -> ImageSpec:
    """Reads a specification and the files that it names.

    Raises:
      ChassisError: something is missing or not of its form.
    """
    fields = read_json(path)
    try:
        records: dict[tuple[str, str, str], PackageRecord] = {}
        for name in fields["records"]:  # lowest first: what an upper layer brings counts
            records |= {(one.kind, one.name, one.architecture): one for one in read_records(Path(name))}
        return ImageSpec(
            name=fields["name"],
            documents=Path(fields["documents"]),
            layers=tuple(_layer(Path(row["descriptor"]), Path(row["facts"])) for row in fields["layers"]),
            records=tuple(records[key] for key in sorted(records)),
            metadata=read_json(Path(fields["metadata"])) if fields.get("metadata") else {},
            model=fields["model"],
            version=fields["version"],
            python=fields["python"],
            parameters=fields.get("parameters", {}),
            sources={label: Path(name) for label, name in fields.get("sources", {}).items()},
            accuracy=tuple(Path(name) for name in fields.get("accuracy", ())),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path}: is not the specification of an image: {error!r}") from None


def _layer(descriptor: Path, facts: Path) -> KnownLayer:
    layer = LayerDescriptor.from_json(read_json(descriptor), str(descriptor))
    (of_layer,) = read_facts(facts).layers
    return KnownLayer(layer, of_layer)


def image_inventory(spec: ImageSpec) -> Inventory:
    """The inventory.

    Raises:
      ChassisError: a file of the build is damaged, or a wheel's own bill of materials is refused.
    """
    manifest, config = LayoutReader(spec.documents).image()
    packages = package_components(spec.records, image_markers(spec.python, config.architecture))
    native = native_libraries(spec.layers, packages)
    parts = with_native(packages, native)
    files, model = _model(spec)
    server = _server(spec.layers)
    parts += [*files, *model, *server]
    purl = str(PackageURL("oci", None, spec.model, manifest.descriptor.digest, {"arch": config.architecture}))
    image = Component(
        ref=purl,
        kind=CONTAINER,
        name=spec.model,
        version=spec.version,
        purl=purl,
        sha256=manifest.descriptor.digest.rpartition(":")[2],
        depends=tuple(sorted(one.ref for one in (*packages, *model, *server) if "#" not in one.ref)),
        properties={"chassis:target": spec.name, "chassis:python": spec.python},
    )
    return Inventory(
        image=image,
        components=tuple(sorted(parts, key=lambda one: one.ref)),
        model_ref=model[0].ref if model else "",
        card=model_card(spec.metadata, asserted_metrics(spec.accuracy)),
    )


def image_markers(python: str, architecture: str) -> dict[str, str]:
    """The variables of markers as the image's Python has them; `python` is the minor version, such as 3.11."""
    machine = MACHINES[architecture].machine if architecture in MACHINES else architecture
    return marker_environment(machine, whole_version(python))


def _model(spec: ImageSpec) -> tuple[list[Component], list[Component]]:
    """The files of code, data and model, and the model itself, which needs them."""
    found = []
    pickle = ""
    for known in spec.layers:
        kind = known.layer.origin.kind
        if kind not in ("code", "data", "model"):
            continue
        for file in known.facts.files:
            if file.type != "file" or "/__pycache__/" in file.path:
                continue
            sha256 = file.digest.rpartition(":")[2]
            if file.path == _MODEL_PICKLE:
                pickle = sha256
            properties = {"chassis:kind": kind, "chassis:path": file.path}
            found.append(
                Component(f"file:{file.path}", FILE, file.path, sha256=sha256, file=file.path, properties=properties)
            )
    if not pickle:
        return found, []
    metadata = spec.metadata
    model = Component(
        ref=f"model:{spec.model}@{spec.version}",
        kind=MODEL,
        name=str(metadata.get("model_name") or spec.model),
        version=spec.version,
        sha256=pickle,
        supplier=str(metadata.get("author") or ""),
        homepage=str(metadata.get("source") or ""),
        summary=str(metadata.get("summary") or ""),
        depends=tuple(sorted(one.ref for one in found)),
        properties={"chassis:kind": "model"},
    )
    return found, [model]


def _server(layers: Sequence[KnownLayer]) -> list[Component]:
    """The model server: by the name and version that it is installed by; its digest is that of its layer's archive."""
    return [
        Component(
            ref=f"server:{known.layer.origin.name}",
            kind=APPLICATION,
            name=_installed(known)[0],
            version=_installed(known)[1],
            sha256=known.layer.diff_id.rpartition(":")[2],
            summary="The model server",
            properties={"chassis:kind": "server", "chassis:target": known.layer.origin.name},
        )
        for known in layers
        if known.layer.origin.kind == "runtime"
    ]


def _installed(known: KnownLayer) -> tuple[str, str]:
    """Name and version of the distribution in a server's layer."""
    for file in known.facts.files:
        if file.path.endswith(".dist-info/METADATA"):
            name, _, version = file.path.split("/")[-2].removesuffix(".dist-info").partition("-")
            return name.replace("_", "-"), version
    return "server", ""


def asserted_metrics(cases: Sequence[Path]) -> list[dict[str, Any]]:
    """What case files of `chassis_test` ask of the model's accuracy, as CycloneDX's performance metrics.

    Raises:
      RecordError: a file has no case with `accuracy`, or is no case file.
    """
    found = []
    for path in cases:
        document = read_json(path)
        named = [one for one in (document if isinstance(document, list) else [document]) if isinstance(one, dict)]
        asserted = [one for one in named if isinstance(one.get("accuracy"), dict)]
        if not asserted:
            raise RecordError(f"{path}: has no case with `accuracy`; a model card takes those alone")
        for one in asserted:
            least = one["accuracy"].get("at_least")
            if isinstance(least, bool) or not isinstance(least, (int, float)):
                raise RecordError(f"{path}: `at_least` of its accuracy is a fraction, found {least!r}")
            found.append(
                {
                    "type": "accuracy",
                    "slice": str(one.get("name") or path.stem),
                    "value": str(least),
                    "confidenceInterval": {"lowerBound": str(least)},
                }
            )
    return found


def model_card(metadata: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """CycloneDX's model card of a model by its metadata (`modelCard` in 1.6), with the metrics that tests assert."""
    parameters: dict[str, Any] = {}
    if metadata.get("model_type"):
        parameters["task"] = metadata["model_type"]
    for direction in ("inputs", "outputs"):
        parts = metadata.get(direction) or {}
        if parts:
            parameters[direction] = [{"format": _format(name, part)} for name, part in sorted(parts.items())]
    card: dict[str, Any] = {"modelParameters": parameters} if parameters else {}
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": list(metrics)}
    properties = [
        {"name": f"chassis:{name}", "value": str(metadata[name])}
        for name in ("details", "performance", "technical")
        if metadata.get(name)
    ]
    if properties:
        card["properties"] = properties
    return card


def _format(name: str, part: Mapping[str, Any]) -> str:
    tensor = f" {part['tensor']}" if part.get("tensor") else ""
    return f"{name}: {part.get('media_type', '')}{tensor}"

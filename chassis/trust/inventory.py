"""What an image is made of, before any format: components, and which needs which."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from packageurl import PackageURL
from packaging.requirements import InvalidRequirement, Requirement

from chassis.declaration.distribution_name import canonical_name
from chassis.doctor.elf import EXTENSION_MODULE, Elf
from chassis.doctor.facts import LayerFacts
from chassis.oci.descriptor import LayerDescriptor
from chassis.oci.explain.contents import LayerContents
from chassis.oci.explain.packages import find_packages
from chassis.trust.component import LIBRARY, Component
from chassis.trust.embedded_sbom import embedded_components
from chassis.trust.package_record import DEB, WHEEL, PackageRecord

_LIBRARY = re.compile(r"lib(?P<name>.+?)(?:-[0-9a-f]{8}){0,2}\.so(?:\.(?P<version>[\d.]+))?$")


@dataclass(frozen=True, slots=True)
class KnownLayer:
    """A layer of this build: its descriptor and the doctor's facts."""

    layer: LayerDescriptor
    facts: LayerFacts


def package_url(record: PackageRecord) -> str:
    """The package URL of a wheel or a Debian package (github.com/package-url/purl-spec)."""
    if record.kind == WHEEL:
        return str(PackageURL("pypi", None, record.name, record.version))
    source, _, source_version = record.source.partition(" ")
    upstream = "" if source in ("", record.name) else source
    if source_version not in ("", record.version):
        upstream = f"{source}@{source_version}"
    qualifiers = {"arch": record.architecture, "distro": record.distribution, "upstream": upstream}
    named = {key: value for key, value in qualifiers.items() if value}
    return str(PackageURL("deb", "debian", record.name, record.version, named))


def package_components(records: Iterable[PackageRecord], environment: Mapping[str, str]) -> list[Component]:
    """The packages, each with what of them it needs, and what wheels say of libraries within them.

    `environment` has the variables of markers as the image's Python has them.

    Raises:
      RecordError: a bill of materials in a wheel is damaged or hostile.
    """
    packages = {package_url(record): record for record in records}
    needs = _needs(packages, environment)
    found: list[Component] = []
    for ref, record in packages.items():
        inside: list[Component] = []
        for sbom in record.sboms:
            inside += embedded_components(sbom, ref, record)
        known = {component.ref: component for component in inside}
        depends = {*needs[ref], *known}
        properties = {"chassis:kind": record.kind, "chassis:lock": record.lock}
        if record.sboms:
            properties["chassis:sboms"] = ", ".join(sbom.path for sbom in record.sboms)
        found.append(
            Component(
                ref=ref,
                kind=LIBRARY,
                name=record.name,
                version=record.version,
                purl=ref,
                sha256=record.sha256,
                file=record.file,
                licences=record.licences,
                supplier=record.supplier,
                homepage=record.homepage,
                summary=record.summary,
                depends=tuple(sorted(depends)),
                properties={key: value for key, value in properties.items() if value},
            )
        )
        found += known.values()
    return found


def _needs(packages: Mapping[str, PackageRecord], environment: Mapping[str, str]) -> dict[str, set[str]]:
    wheels = {record.name: ref for ref, record in packages.items() if record.kind == WHEEL}
    debs: dict[str, str] = {}
    for ref, record in packages.items():
        if record.kind == DEB:
            debs |= {name: ref for name in record.provides if name not in debs}
    debs |= {record.name: ref for ref, record in packages.items() if record.kind == DEB}
    needs: dict[str, set[str]] = {}
    for ref, record in packages.items():
        if record.kind == DEB:
            chosen = (next((debs[name] for name in line.split("|") if name in debs), "") for line in record.requires)
            needs[ref] = {other for other in chosen if other and other != ref}
        else:
            needs[ref] = set()
    queue = [(name, "") for name in wheels]
    seen = set(queue)
    for name, extra in queue:
        for requirement in _holding(packages[wheels[name]], environment, extra):
            wanted = canonical_name(requirement.name)
            if wanted not in wheels:
                continue
            if wanted != name:
                needs[wheels[name]].add(wheels[wanted])
            for further in requirement.extras:
                if (state := (wanted, canonical_name(further))) not in seen:
                    seen.add(state)
                    queue.append(state)
    return needs


def _holding(record: PackageRecord, environment: Mapping[str, str], extra: str) -> Iterable[Requirement]:
    for line in record.requires:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # the doctor says so
            continue
        if requirement.marker is None or requirement.marker.evaluate({**environment, "extra": extra}):
            yield requirement


def native_libraries(layers: Iterable[KnownLayer], packages: Sequence[Component]) -> list[Component]:
    """The shared libraries in wheels that no bill of materials in the wheel names, from the doctor's facts."""
    wheels = {component.name: component for component in packages if component.purl.startswith("pkg:pypi/")}
    by_ref = {component.ref: component for component in packages}
    found = []
    for known in layers:
        elves = dict(known.facts.elves)
        contents = LayerContents("list", known.facts.files, parts=known.layer.parts)
        for package in find_packages(known.layer.origin, contents, 0) if elves else ():
            wheel = wheels.get(package.name) if package.kind == "wheel" else None
            if wheel is None:
                continue
            declared = {_stem(by_ref[ref].name) for ref in wheel.depends if ref.startswith(wheel.ref + "#")}
            for file in package.files:
                named = _LIBRARY.match(posixpath.basename(file.path))
                if not named or not _is_library(file.path, elves.get(file.path)) or _stem(named["name"]) in declared:
                    continue
                found.append(
                    Component(
                        ref=f"{wheel.ref}#{file.path}",
                        kind=LIBRARY,
                        name=f"lib{named['name']}",
                        version=named["version"] or "",
                        sha256=file.digest.rpartition(":")[2],
                        file=file.path,
                        properties={"chassis:in": wheel.ref, "chassis:kind": "native", "chassis:path": file.path},
                    )
                )
    return found


def _is_library(path: str, elf: Elf | None) -> bool:
    return elf is not None and elf.type == "shared" and bool(elf.soname) and not EXTENSION_MODULE.search(path)


def _stem(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower().removeprefix("lib"))


def with_native(packages: Sequence[Component], native: Sequence[Component]) -> list[Component]:
    """The packages, each needing the libraries within it too, and these libraries."""
    inside: dict[str, list[str]] = {}
    for component in native:
        inside.setdefault(component.properties["chassis:in"], []).append(component.ref)
    owners = [
        replace(one, depends=tuple(sorted({*one.depends, *inside.get(one.ref, ())}))) if one.ref in inside else one
        for one in packages
    ]
    return [*owners, *native]

"""An inventory as CycloneDX 1.6, with the model's card (cyclonedx.org/docs/1.6/json)."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component as CdxComponent
from cyclonedx.model.component import ComponentType
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from chassis.trust.component import Component, Inventory
from chassis.trust.licences import spdx_expression

_NO_TIME = datetime.fromtimestamp(0, UTC)
_URL = re.compile(r"https?://[!-~]+")


def cyclonedx_document(inventory: Inventory) -> bytes:
    """The document, the same bytes for the same inventory: no time is in it, and its serial number is made of the
    image's digest."""
    made = {one.ref: _component(one) for one in (inventory.image, *inventory.components)}
    metadata = BomMetaData(component=made[inventory.image.ref], timestamp=_NO_TIME)
    bom = Bom(
        components=[made[one.ref] for one in inventory.components],
        metadata=metadata,
        serial_number=document_uuid(inventory, "cyclonedx"),
        dependencies=_dependencies(inventory, made),
    )
    document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["metadata"]["timestamp"]
    for component in document.get("components", ()):
        if component["bom-ref"] == inventory.model_ref and inventory.card:
            component["modelCard"] = dict(inventory.card)  # which the package does not know yet
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def document_uuid(inventory: Inventory, form: str) -> uuid.UUID:
    """The UUID of an image's document in some form: made of the image's name and digest."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{inventory.image.ref}#{form}")


def _dependencies(inventory: Inventory, made: dict[str, CdxComponent]) -> Iterable[Dependency]:
    for one in (inventory.image, *inventory.components):
        below = [Dependency(made[ref].bom_ref) for ref in one.depends if ref in made]
        yield Dependency(made[one.ref].bom_ref, dependencies=below)


def _component(one: Component) -> CdxComponent:
    urls = [one.homepage] if _URL.fullmatch(one.homepage) else []
    return CdxComponent(
        bom_ref=one.ref,
        type=ComponentType(one.kind),
        name=one.name,
        version=one.version or None,
        purl=PackageURL.from_string(one.purl) if one.purl else None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one.sha256)] if one.sha256 else None,
        licenses=_licenses(one),
        supplier=OrganizationalEntity(name=one.supplier) if one.supplier else None,
        description=one.summary or None,
        external_references=[ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(url)) for url in urls],
        properties=[Property(name=name, value=value) for name, value in sorted(one.properties.items())],
    )


def _licenses(one: Component) -> list[Any]:
    if expression := spdx_expression(one.licences):
        return [LicenseFactory().make_from_string(expression)]
    return [_named(name) for name in one.licences]


def _named(name: str) -> DisjunctiveLicense:
    """A licence by name, or by SPDX's identifier if that is what the name is."""
    if expression := spdx_expression([name]):
        made = LicenseFactory().make_from_string(expression)
        if isinstance(made, DisjunctiveLicense):
            return made
    return DisjunctiveLicense(name=name)

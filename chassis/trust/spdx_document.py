"""An inventory as SPDX 2.3, in JSON (spdx.github.io/spdx-spec/v2.3)."""

from __future__ import annotations

import hashlib
import io
import json
import re
from datetime import datetime

from license_expression import get_spdx_licensing
from spdx_tools.spdx.model import (
    Actor,
    ActorType,
    Checksum,
    ChecksumAlgorithm,
    CreationInfo,
    Document,
    ExternalPackageRef,
    ExternalPackageRefCategory,
    Package,
    PackagePurpose,
    Relationship,
    RelationshipType,
    SpdxNoAssertion,
)
from spdx_tools.spdx.writer.json import json_writer

from chassis.trust.component import APPLICATION, CONTAINER, FILE, Component, Inventory
from chassis.trust.cyclonedx_document import document_uuid
from chassis.trust.licences import spdx_expression

_DOCUMENT = "SPDXRef-DOCUMENT"
_NO_TIME = datetime(1970, 1, 1)  # SPDX demands one (6.9): the date of every file in the image
_URL = re.compile(r"https?://[!-~]+")
_PURPOSES = {APPLICATION: PackagePurpose.APPLICATION, CONTAINER: PackagePurpose.CONTAINER, FILE: PackagePurpose.FILE}


def spdx_document(inventory: Inventory) -> bytes:
    """The document, the same bytes for the same inventory: its date is 1970-01-01, and its namespace is made of the
    image's digest."""
    everything = (inventory.image, *inventory.components)
    ids = {one.ref: _identifier(one) for one in everything}
    relations = [Relationship(_DOCUMENT, RelationshipType.DESCRIBES, ids[inventory.image.ref])]
    relations += [
        Relationship(ids[inventory.image.ref], RelationshipType.CONTAINS, ids[one.ref]) for one in inventory.components
    ]
    relations += [
        Relationship(ids[one.ref], RelationshipType.DEPENDS_ON, ids[ref])
        for one in inventory.components
        for ref in one.depends
        if ref in ids
    ]
    document = Document(
        CreationInfo(
            spdx_version="SPDX-2.3",
            spdx_id=_DOCUMENT,
            name=inventory.image.name,
            document_namespace=document_uuid(inventory, "spdx").urn,
            creators=[Actor(ActorType.TOOL, "chassis")],
            created=_NO_TIME,
        ),
        packages=[_package(one, ids[one.ref]) for one in everything],
        relationships=relations,
    )
    text = io.StringIO()
    json_writer.write_document_to_stream(document, text, validate=False)
    return json.dumps(json.loads(text.getvalue()), indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _identifier(one: Component) -> str:
    """`SPDXRef-` and letters, digits, `.`, `-`; the name for people, a part of the ref's digest for uniqueness."""
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", one.name).strip("-")[:60]
    return f"SPDXRef-{readable}-{hashlib.sha256(one.ref.encode()).hexdigest()[:12]}"


def _package(one: Component, identifier: str) -> Package:
    expression = spdx_expression(one.licences)
    purl = ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", one.purl) if one.purl else None
    return Package(
        identifier,
        one.name,
        SpdxNoAssertion(),
        version=one.version or None,
        file_name=one.file or None,
        supplier=Actor(ActorType.ORGANIZATION, one.supplier) if one.supplier else None,
        files_analyzed=False,
        checksums=[Checksum(ChecksumAlgorithm.SHA256, one.sha256)] if one.sha256 else [],
        homepage=one.homepage if _URL.fullmatch(one.homepage) else None,
        license_concluded=SpdxNoAssertion(),
        license_declared=get_spdx_licensing().parse(expression) if expression else SpdxNoAssertion(),
        license_comment=f"declared as: {'; '.join(one.licences)}" if one.licences and not expression else None,
        summary=one.summary or None,
        copyright_text=SpdxNoAssertion(),
        external_references=[purl] if purl else [],
        primary_package_purpose=_PURPOSES.get(one.kind, PackagePurpose.LIBRARY),
    )

"""Reads the bills of materials that wheels bring (PEP 770): CycloneDX and SPDX, as JSON.

They are others' files: what is damaged or out of proportion is refused by the wheel's and the file's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from packageurl import PackageURL

from chassis.trust.component import LIBRARY, Component
from chassis.trust.errors import RecordError
from chassis.trust.package_record import EmbeddedSbom, PackageRecord

MAX_CHARACTERS = 16 << 20
MAX_COMPONENTS = 20_000
MAX_DEPTH = 64
_MAX_TEXT = 2000


def embedded_components(sbom: EmbeddedSbom, owner: str, wheel: PackageRecord) -> list[Component]:
    """The components that a wheel's own bill of materials names, their refs below the wheel's, `owner`.

    A file in another form than JSON, such as SPDX's tag-value, gives none.

    Raises:
      RecordError: it is damaged, or larger or deeper than any honest one.
    """
    where = f"{wheel.file or wheel.name}: {sbom.path}"
    if not sbom.path.endswith(".json"):
        return []
    if len(sbom.text) > MAX_CHARACTERS:
        raise RecordError(f"{where}: has {len(sbom.text)} characters; a bill of materials may have {MAX_CHARACTERS}")
    try:
        document = json.loads(sbom.text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{where}: is not JSON: {_short(error)}; take another release of the wheel") from None
    if not isinstance(document, dict):
        raise RecordError(f"{where}: is not a JSON object, but {type(document).__name__}")
    try:
        if "bomFormat" in document:
            rows = [_cyclonedx(row) for row in _nested(document.get("components", []), where)]
        else:
            rows = [_spdx(row) for row in _objects(document.get("packages", []))]
    except (TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"{where}: is not a bill of materials: {_short(error)}") from None
    if len(rows) > MAX_COMPONENTS:
        raise RecordError(f"{where}: names {len(rows)} components; at most {MAX_COMPONENTS}")
    return _named(rows, owner, wheel, sbom.path)


def _named(rows: list[dict[str, Any]], owner: str, wheel: PackageRecord, path: str) -> list[Component]:
    found = {}
    for row in rows:
        if row["purl"].partition("@")[0] == owner.partition("@")[0] or row["name"] == wheel.name:
            continue  # the wheel itself
        ref = f"{owner}#{row['purl'] or row['name'] + '@' + row['version']}"
        found[ref] = Component(
            ref=ref,
            kind=LIBRARY,
            properties={"chassis:in": owner, "chassis:kind": "declared", "chassis:sbom": path},
            **row,
        )
    return list(found.values())


def _nested(rows: Any, where: str, depth: int = 0) -> Iterator[dict[str, Any]]:
    if depth > MAX_DEPTH:
        raise RecordError(f"{where}: nests components more than {MAX_DEPTH} deep")
    for row in _objects(rows):
        yield row
        yield from _nested(row.get("components", []), where, depth + 1)


def _objects(rows: Any) -> list[dict[str, Any]]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TypeError("its components are not a list of objects")
    if len(rows) > MAX_COMPONENTS:
        raise ValueError(f"it names {len(rows)} components; at most {MAX_COMPONENTS}")
    return rows


def _cyclonedx(row: dict[str, Any]) -> dict[str, Any]:
    licences = []
    for entry in row.get("licenses") or []:
        one = entry.get("license") or {}
        licences.append(entry.get("expression") or one.get("id") or one.get("name") or "")
    hashes = {entry.get("alg"): entry.get("content") for entry in row.get("hashes") or []}
    return {
        "name": _text(row.get("name")),
        "version": _text(row.get("version") or ""),
        "purl": _purl(row.get("purl") or ""),
        "sha256": _hex(hashes.get("SHA-256") or ""),
        "licences": tuple(_text(one) for one in licences if one),
    }


def _spdx(row: dict[str, Any]) -> dict[str, Any]:
    purls = [ref.get("referenceLocator") for ref in row.get("externalRefs") or [] if ref.get("referenceType") == "purl"]
    declared = row.get("licenseDeclared") or ""
    sums = {entry.get("algorithm"): entry.get("checksumValue") for entry in row.get("checksums") or []}
    return {
        "name": _text(row.get("name")),
        "version": _text(row.get("versionInfo") or ""),
        "purl": _purl(purls[0] if purls else ""),
        "sha256": _hex(sums.get("SHA256") or ""),
        "licences": () if declared in ("", "NOASSERTION", "NONE") else (_text(declared),),
    }


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
        raise ValueError(f"{repr(value)[:60]} is not a name of at most {_MAX_TEXT} printable characters")
    return value


def _purl(value: Any) -> str:
    return PackageURL.from_string(_text(value)).to_string() if value else ""


def _hex(value: Any) -> str:
    text = _text(value).lower() if value else ""
    if text and (len(text) != 64 or text.strip("0123456789abcdef")):
        raise ValueError(f"{_short(text)} is not a SHA-256 in hexadecimal")
    return text


def _short(what: object) -> str:
    return str(what)[:200]

"""The record of a wheel, from the wheel's own metadata.

Specifications: PyPA, "Core metadata", "Binary distribution format"; PEP 639 (licences), PEP 770 (`.dist-info/sboms`).
"""

from __future__ import annotations

from pathlib import Path

from packaging.metadata import RawMetadata, parse_email

from chassis.declaration.distribution_name import canonical_name
from chassis.errors import ChassisError
from chassis.oci import digest as digests
from chassis.oci.layer.wheel_source import CheckedWheel, open_wheel
from chassis.trust.errors import RecordError
from chassis.trust.package_record import WHEEL, EmbeddedSbom, PackageRecord

_MAX_SBOMS = 64
_MAX_LICENCE_CHARACTERS = 200
_LICENCE_CLASSIFIER = "License :: "


def wheel_record(path: Path, lock: str = "") -> PackageRecord:
    """Reads a wheel; `lock` says where it is pinned, for people.

    Raises:
      ChassisError: it is not a wheel, or one that is refused.
    """
    with open_wheel(path) as wheel:
        fields, _ = parse_email(wheel.read_dist_info("METADATA"))
        sboms = _sboms(wheel)
    digest, size = digests.of_file(path)
    return PackageRecord(
        kind=WHEEL,
        name=canonical_name(fields.get("name", "")),
        version=fields.get("version", ""),
        file=path.name,
        sha256=digest.removeprefix(digests.PREFIX),
        size=size,
        licences=_licences(fields),
        supplier=_one_line(fields.get("author") or fields.get("author_email") or fields.get("maintainer") or ""),
        homepage=_homepage(fields),
        summary=_one_line(fields.get("summary", "")),
        requires=tuple(fields.get("requires_dist", ())),
        lock=lock,
        sboms=sboms,
    )


def _sboms(wheel: CheckedWheel) -> tuple[EmbeddedSbom, ...]:
    names = sorted(name for name in wheel.dist_info_filenames if name.startswith("sboms/") and not name.endswith("/"))
    if len(names) > _MAX_SBOMS:
        raise RecordError(f"{wheel.label}: has {len(names)} files in .dist-info/sboms; at most {_MAX_SBOMS}")
    found = []
    for name in names:
        try:
            found.append(EmbeddedSbom(name, wheel.read_dist_info(name)))
        except ChassisError as error:
            raise RecordError(f"{wheel.label}: its bill of materials {name} cannot be read: {error}") from None
    return tuple(found)


def _licences(fields: RawMetadata) -> tuple[str, ...]:
    """The expression; else the field `License`, if it is a name and not a text; else what the classifiers say."""
    if expression := fields.get("license_expression"):
        return (expression,)
    text = fields.get("license", "").strip()
    if text and "\n" not in text and len(text) <= _MAX_LICENCE_CHARACTERS and text.upper() != "UNKNOWN":
        return (text,)
    classifiers = (line for line in fields.get("classifiers", ()) if line.startswith(_LICENCE_CLASSIFIER))
    names = [line.rpartition(" :: ")[2] for line in classifiers]
    return tuple(sorted({name for name in names if name != "OSI Approved"}))


def _homepage(fields: RawMetadata) -> str:
    if page := fields.get("home_page"):
        return str(page)
    urls = {name.lower(): url for name, url in (fields.get("project_urls") or {}).items()}
    return next((str(urls[name]) for name in ("homepage", "home", "source", "repository") if name in urls), "")


def _one_line(text: str) -> str:
    return " ".join(text.split())

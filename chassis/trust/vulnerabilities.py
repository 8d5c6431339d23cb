"""Which components of a bill of materials have known vulnerabilities, by databases given as files.

Two forms are read: OSV (ossf.github.io/osv-schema), one record, a list of records or an ecosystem's export as a zip,
and the JSON of Debian's security tracker (security-tracker.debian.org/tracker/data/json).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packageurl import PackageURL
from packaging.version import InvalidVersion, Version

from chassis.declaration.distribution_name import canonical_name
from chassis.trust.debian_version import is_older
from chassis.trust.errors import TrustError

SEVERITIES = ("unknown", "low", "medium", "high", "critical")
"""From the least to the worst; what a database does not rate counts as much as the worst, when it comes to failing."""

_DEBIAN_CODENAMES = {"11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky"}
_RATINGS = {
    "moderate": "medium",
    "unimportant": "low",
    "not yet assigned": "unknown",
    "end-of-life": "unknown",
    "": "unknown",
}
_MAX_BYTES = 2 << 30


class DatabaseError(TrustError):
    """A database of vulnerabilities cannot be read."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package of a bill of materials: `ecosystem` is PyPI or Debian; `source` is what Debian's advisories name."""

    ecosystem: str
    name: str
    version: str
    purl: str
    source: str = ""
    source_version: str = ""
    release: str = ""


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """A vulnerability of a package; `fixed` is the version that has none of it, empty if there is none yet."""

    identifier: str
    package: Package
    severity: str
    fixed: str = ""
    summary: str = ""
    aliases: tuple[str, ...] = ()


def packages_of(sbom: Mapping[str, Any], where: str) -> list[Package]:
    """The wheels and Debian packages in a CycloneDX document.

    Raises:
      DatabaseError: it is not one.
    """
    try:
        purls = [str(one["purl"]) for one in sbom["components"] if one.get("purl")]
    except (KeyError, TypeError, AttributeError):
        raise DatabaseError(f"{where}: is not a CycloneDX document") from None
    found = []
    for text in purls:
        purl = PackageURL.from_string(text)
        version = purl.version or ""
        if purl.type == "pypi":
            found.append(Package("PyPI", canonical_name(purl.name), version, text))
        elif purl.type == "deb":
            qualifiers = purl.qualifiers if isinstance(purl.qualifiers, dict) else {}
            source, _, source_version = str(qualifiers.get("upstream", "")).partition("@")
            release = str(qualifiers.get("distro", "")).removeprefix("debian-")
            found.append(
                Package("Debian", purl.name, version, text, source or purl.name, source_version or version, release)
            )
    return found


def find_vulnerabilities(packages: Sequence[Package], databases: Sequence[Path]) -> list[Vulnerability]:
    """The vulnerabilities that the databases know of, each of a package once, by identifier and package.

    Raises:
      DatabaseError: a database is of neither form, or damaged.
    """
    by_name: dict[tuple[str, str], list[Package]] = {}
    for package in packages:
        by_name.setdefault((package.ecosystem, package.source or package.name), []).append(package)
    found: dict[tuple[str, str], Vulnerability] = {}
    for database in databases:
        for document in _documents(database):
            for one in _in_document(document, by_name, str(database)):
                found.setdefault((one.identifier, one.package.purl), one)
    return [found[key] for key in sorted(found)]


def _documents(path: Path) -> Iterator[Any]:
    try:
        if path.is_dir():
            for file in sorted(path.glob("*.json")):
                yield _parsed(file.read_bytes(), str(file))
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if (size := sum(entry.file_size for entry in archive.infolist())) > _MAX_BYTES:
                    raise DatabaseError(f"{path}: unpacks to {size} bytes; at most {_MAX_BYTES}")
                for entry in archive.infolist():
                    if entry.filename.endswith(".json"):
                        yield _parsed(archive.read(entry), f"{path}: {entry.filename}")
        else:
            yield _parsed(path.read_bytes(), str(path))
    except (OSError, zipfile.BadZipFile) as error:
        raise DatabaseError(f"{path}: the database cannot be read: {error}") from None


def _parsed(data: bytes, where: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DatabaseError(f"{where}: is not JSON: {str(error)[:200]}") from None


def _in_document(
    document: Any, by_name: Mapping[tuple[str, str], list[Package]], where: str
) -> Iterator[Vulnerability]:
    try:
        if isinstance(document, list):
            for record in document:
                yield from _osv(record, by_name)
        elif "affected" in document and "id" in document:
            yield from _osv(document, by_name)
        else:
            yield from _tracker(document, by_name)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DatabaseError(
            f"{where}: is neither OSV nor the JSON of Debian's security tracker: {str(error)[:200]}"
        ) from None


def _osv(record: Mapping[str, Any], by_name: Mapping[tuple[str, str], list[Package]]) -> Iterator[Vulnerability]:
    if record.get("withdrawn"):
        return
    for affected in record["affected"]:
        named = affected.get("package") or {}
        ecosystem, _, release = str(named.get("ecosystem", "")).partition(":")
        name = canonical_name(named.get("name", "")) if ecosystem == "PyPI" else named.get("name", "")
        for package in by_name.get((ecosystem, name), ()):
            if release and package.release and release != package.release:
                continue
            hit, fixed = _affects(affected, package)
            if hit:
                rating = (affected.get("database_specific") or {}).get("severity") or (
                    record.get("database_specific") or {}
                ).get("severity", "")
                yield Vulnerability(
                    str(record["id"]),
                    package,
                    _severity(str(rating)),
                    fixed,
                    str(record.get("summary", "")),
                    tuple(record.get("aliases", ())),
                )


def _affects(affected: Mapping[str, Any], package: Package) -> tuple[bool, str]:
    """Whether the package is among what is affected, and the version that is not any more."""
    version = package.source_version if package.ecosystem == "Debian" else package.version
    for span in affected.get("ranges") or []:
        if span.get("type") not in ("ECOSYSTEM", "SEMVER"):
            continue
        inside, fixed = False, ""
        for event in span["events"]:
            if "introduced" in event and not _older(package, version, str(event["introduced"])):
                inside, fixed = True, ""
            elif "fixed" in event:
                if not _older(package, version, str(event["fixed"])):
                    inside = False
                elif inside and not fixed:
                    fixed = str(event["fixed"])
            elif "last_affected" in event and _older(package, str(event["last_affected"]), version):
                inside = False
        if inside:
            return True, fixed
    return version in (affected.get("versions") or []), ""


def _older(package: Package, version: str, other: str) -> bool:
    if other == "0":
        return False
    if package.ecosystem == "Debian":
        return is_older(version, other)
    try:
        return bool(Version(version) < Version(other))
    except InvalidVersion:
        return version != other


def _tracker(document: Mapping[str, Any], by_name: Mapping[tuple[str, str], list[Package]]) -> Iterator[Vulnerability]:
    for (ecosystem, source), packages in by_name.items():
        if ecosystem != "Debian" or source not in document:
            continue
        for identifier, issue in document[source].items():
            for package in packages:
                release = (issue.get("releases") or {}).get(_DEBIAN_CODENAMES.get(package.release, ""))
                if release is None or release["status"] == "undetermined":
                    continue
                fixed = str(release.get("fixed_version", "")) if release["status"] == "resolved" else ""
                if release["status"] == "resolved" and (fixed == "0" or not is_older(package.source_version, fixed)):
                    continue
                severity = _severity(str(release.get("urgency", "")).rstrip("*"))
                yield Vulnerability(identifier, package, severity, fixed, str(issue.get("description", "")))


def _severity(text: str) -> str:
    lowered = _RATINGS.get(text.lower(), text.lower())
    return lowered if lowered in SEVERITIES else "unknown"


def reaches(severity: str, threshold: str) -> bool:
    """Whether a severity is as bad as a threshold; what is not rated may be anything."""
    return severity == "unknown" or SEVERITIES.index(severity) >= SEVERITIES.index(threshold)

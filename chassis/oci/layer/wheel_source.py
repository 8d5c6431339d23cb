"""A wheel as the package `installer` reads it, over a checked zip archive.

Specification: PyPA, "Binary distribution format". Only the standard library and `installer` are imported, so
that a build can unpack its first wheels with it.
"""

from __future__ import annotations

import configparser
import io
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import installer
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import InvalidRecordEntry, parse_record_file
from installer.sources import WheelContentElement, WheelSource
from installer.utils import SCHEME_NAMES, parse_metadata_file, parse_wheel_filename

from chassis.declaration.distribution_name import canonical_name
from chassis.errors import ChassisError
from chassis.oci.layer.entry_points import EntryPointError, EntryPoints, read_entry_points
from chassis.oci.layer.zip_index import ZipError, ZipIndex, ZipMember

_MAX_METADATA_BYTES = 64 << 20
_REPLACED = ("INSTALLER", "RECORD")
_INSTALLER = b"chassis\n"

# NVIDIA's name for Arm servers, in the WHEEL file of wheels whose own name says aarch64.
_OTHER_NAMES = {"sbsa": "aarch64"}


# The platform in the name of a wheel that was made of the files of a hub (chassis/tools/wheel_of_files.py): its WHEEL
# file has the real ones.
UNPACKED = "unpacked"


class WheelError(ChassisError):
    """A wheel is broken, or does not belong where it is asked for."""


class MemberStream(io.RawIOBase):
    """One file of a wheel, as `installer` hands it on; the archive's own stored form stays in reach."""

    def __init__(self, archive: BinaryIO, member: ZipMember) -> None:
        super().__init__()
        self.archive = archive
        self.member = member
        self._content: io.BytesIO | None = None

    def readable(self) -> bool:
        """Always True."""
        return True

    def seekable(self) -> bool:
        """Always True."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """As for any stream."""
        return self._open().seek(offset, whence)

    def readinto(self, buffer: object) -> int:
        """As for any stream."""
        return self._open().readinto(buffer)  # type: ignore[arg-type]

    def _open(self) -> io.BytesIO:
        if self._content is None:
            self._content = io.BytesIO(inflate(self.archive, self.member))
        return self._content


class CheckedWheel(WheelSource):
    """A wheel whose archive was checked whole and whose metadata agree with its file name."""

    def __init__(self, label: str, index: ZipIndex) -> None:
        """Reads the metadata of an open archive; `label` is the wheel's file name.

        Raises:
          WheelError: the name or the metadata are not a wheel's, or contradict each other.
        """
        try:
            parts = parse_wheel_filename(label)
        except ValueError:
            raise WheelError(f"{label}: is not named as a wheel: name-version-python-abi-platform.whl") from None
        super().__init__(parts.distribution, parts.version)
        self.label = label
        self.tags = _expand(parts.tag)
        self._index = index
        self._members = {member.name: member for member in index.members}
        self._dist_info = self._find_dist_info()
        self._data = self._find_data()
        self._entry_points = self._read_entry_points()
        self.record = self._read_record()
        self._check_wheel_file()
        self._check_data_directory()

    @property
    def dist_info_dir(self) -> str:
        """The one `.dist-info` directory, whose spelling may differ from the file name's."""
        return self._dist_info

    @property
    def data_dir(self) -> str:
        """The `.data` directory, however it is spelled: as the `.dist-info` one if there is none."""
        return self._data

    @property
    def dist_info_filenames(self) -> list[str]:
        """Names of the files in the `.dist-info` directory."""
        prefix = self._dist_info + "/"
        return [name[len(prefix) :] for name in self._members if name.startswith(prefix)]

    def read_dist_info(self, filename: str) -> str:
        """The text of a file in the `.dist-info` directory.

        Raises:
          WheelError: it is missing, damaged or not UTF-8.
        """
        if filename == "entry_points.txt":
            return self._entry_points.text()
        return self._read_text(filename)

    def _read_text(self, filename: str) -> str:
        name = f"{self._dist_info}/{filename}"
        member = self._members.get(name)
        if member is None:
            raise WheelError(f"{self.label}: has no {name}")
        if member.size > _MAX_METADATA_BYTES:
            raise WheelError(f"{self.label}: {name} has {member.size} bytes; at most {_MAX_METADATA_BYTES} are read")
        try:
            return inflate(self._index.stream, member).decode("utf-8")
        except UnicodeDecodeError as error:
            raise WheelError(f"{self.label}: {name} is not UTF-8: {error}") from None
        except ZipError as error:
            raise WheelError(f"{self.label}: {error}") from None

    def get_contents(self) -> Iterator[WheelContentElement]:
        """Every file but those that the installation writes itself: INSTALLER, RECORD, launchers of entry points."""
        replaced = {f"{self._dist_info}/{name}" for name in _REPLACED}
        scripts = self._data + "/scripts/"
        for member in self._index.members:
            launcher = member.name.startswith(scripts) and self._entry_points.has_launcher(member.name[len(scripts) :])
            if member.name not in replaced and not launcher:
                record = self.record.get(member.name, (member.name, "", ""))
                yield record, cast("BinaryIO", MemberStream(self._index.stream, member)), member.executable

    def _find_dist_info(self) -> str:
        found = sorted({name.split("/", 1)[0] for name in self._members if "/" in name})
        found = [name for name in found if name.endswith(".dist-info")]
        if len(found) != 1:
            raise WheelError(f"{self.label}: has {len(found)} .dist-info directories, a wheel has one: {found}")
        name = found[0].removesuffix(".dist-info").rpartition("-")[0]
        if canonical_name(name) != canonical_name(self.distribution):
            raise WheelError(f"{self.label}: its {found[0]} belongs to another distribution")
        return found[0]

    def _find_data(self) -> str:
        usual = self._dist_info.removesuffix(".dist-info") + ".data"
        tops = {name.split("/", 1)[0] for name in self._members if "/" in name}
        found = sorted(name for name in tops if name.endswith(".data"))
        if len(found) > 1:
            raise WheelError(f"{self.label}: has {len(found)} .data directories, a wheel has one at most: {found}")
        if not found:
            return usual
        name = found[0].removesuffix(".data").rpartition("-")[0]
        if canonical_name(name) != canonical_name(self.distribution):
            raise WheelError(f"{self.label}: its {found[0]} belongs to another distribution")
        return found[0]

    def _read_entry_points(self) -> EntryPoints:
        if f"{self._dist_info}/entry_points.txt" not in self._members:
            return EntryPoints({})
        try:
            return read_entry_points(self._read_text("entry_points.txt"))
        except EntryPointError as error:
            raise WheelError(f"{self.label}: {error}") from None

    def _read_record(self) -> dict[str, tuple[str, str, str]]:
        try:
            rows = list(parse_record_file(self.read_dist_info("RECORD").splitlines()))
        except (InvalidRecordEntry, ValueError) as error:
            raise WheelError(f"{self.label}: {self._dist_info}/RECORD is malformed: {error}") from None
        return {row[0]: row for row in rows}

    def _check_wheel_file(self) -> None:
        metadata = parse_metadata_file(self.read_dist_info("WHEEL"))
        version = metadata["Wheel-Version"] or ""
        if not version.startswith("1."):
            raise WheelError(f"{self.label}: has Wheel-Version {version!r}; only 1.x is understood")
        inside = {tag for line in metadata.get_all("Tag") or [] for tag in _expand(line.strip())}
        # Repaired wheels often keep a `linux_…` tag inside, and only the CPU is what a mix-up changes.
        machines = {machine(tag) for tag in self.tags}
        if machines == {UNPACKED}:
            return
        if inside and machines.isdisjoint(machine(tag) for tag in inside):
            raise WheelError(
                f"{self.label}: is named for {_listed(machines)}, but its WHEEL file says "
                f"{_listed(inside)}; was the file renamed?"
            )

    def _check_data_directory(self) -> None:
        for name in self._members:
            top, *inner = name.split("/")
            if top == self.data_dir and (len(inner) < 2 or inner[0] not in SCHEME_NAMES):
                raise WheelError(
                    f"{self.label}: {name!r} belongs to none of the schemes {', '.join(SCHEME_NAMES)} "
                    '(PyPA, binary distribution format, "The .data directory")'
                )


@contextmanager
def open_wheel(path: Path) -> Iterator[CheckedWheel]:
    """Opens a wheel.

    Raises:
      WheelError: it is not a wheel, or one that is refused; the message begins with the file's name.
    """
    try:
        index = ZipIndex(path)
    except ZipError as error:
        raise WheelError(f"{path.name}: {error}") from None
    with index:
        yield CheckedWheel(path.name, index)


def install_wheel(wheel: CheckedWheel, destination: WheelDestination) -> None:
    """Has the package `installer` install a wheel.

    Raises:
      WheelError: the wheel is refused, by `installer` or by the destination; the message begins with its file name.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # Says that `__pycache__` was left out.
            installer.install(wheel, destination, {"INSTALLER": _INSTALLER})
    except WheelError:
        raise
    except InvalidRecordEntry as error:
        raise WheelError(f"{wheel.label}: RECORD is malformed: {error}") from None
    except (ChassisError, FileExistsError) as error:
        raise WheelError(f"{wheel.label}: {error}") from None
    except (InstallerError, configparser.Error, AssertionError, ValueError) as error:
        raise WheelError(f"{wheel.label}: is not a valid wheel: {error or type(error).__name__}") from None


def machine(tag: str) -> str:
    """The CPU that a platform tag ends in (`x86_64`, `aarch64`, …), `any` for none, the whole platform
    otherwise.
    """
    platform = tag.rsplit("-", 1)[-1]
    found = re.fullmatch(r"(?:many|musl)?linux(?:_\d+_\d+|1|2010|2014)?_(\w+)", platform)
    name = found[1] if found else platform
    return _OTHER_NAMES.get(name, name)


def inflate(archive: BinaryIO, member: ZipMember) -> bytes:
    """The whole content of a small member, checked.

    Raises:
      ZipError: it is not what the directory says.
    """
    archive.seek(member.offset)
    data = archive.read(member.stored_size)
    if member.deflated:
        stream = zlib.decompressobj(-15)
        try:
            data = stream.decompress(data, member.size + 1)
        except zlib.error as error:
            raise ZipError(f"member {member.name!r} holds corrupt deflate data: {error}") from None
        if not stream.eof and not stream.decompress(b"", 1) and not stream.eof:
            raise ZipError(f"member {member.name!r} ends before its deflate stream does")
        if stream.unused_data:
            raise ZipError(f"member {member.name!r} has bytes after the end of its deflate stream")
    if len(data) != member.size or zlib.crc32(data) != member.crc:
        raise ZipError(f"member {member.name!r} has another size or CRC-32 than the directory states")
    return data


def _expand(tags: str) -> frozenset[str]:
    """Single tags of a compressed set: `py2.py3-none-any` is two (PyPA, "Platform compatibility tags")."""
    parts = tags.split("-")
    if len(parts) != 3:
        return frozenset((tags,))
    pythons, abis, platforms = (part.split(".") for part in parts)
    return frozenset(f"{python}-{abi}-{platform}" for python in pythons for abi in abis for platform in platforms)


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))

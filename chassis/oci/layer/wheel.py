"""Wheel to layer: the wheel is installed into the layer, its deflate streams copied as they are.

What a wheel means (schemes, scripts, RECORD, INSTALLER) is the package `installer`'s work; this module is the
destination that it installs into. Differences from `pip install`: entry-point scripts are `installer`'s,
files in `__pycache__` are left out, files of the scripts scheme are always executable, and a file that its
RECORD contradicts is refused.
"""

from __future__ import annotations

import binascii
import os
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from installer.destinations import WheelDestination
from installer.records import Hash, RecordEntry
from installer.scripts import Script
from installer.utils import Scheme, construct_record_file, fix_shebang

from chassis.declaration.distribution_name import canonical_name
from chassis.oci.descriptor import Origin
from chassis.oci.layer.bytecode import BytecodeCompiler, is_module, is_of_tests
from chassis.oci.layer.deflate_source import ContentError, DeflateSource
from chassis.oci.layer.wheel_source import CheckedWheel, MemberStream, WheelError, install_wheel, open_wheel
from chassis.oci.layer.writer import LayerWriter

if TYPE_CHECKING:
    from installer.scripts import ScriptSection

_MAX_SCRIPT_BYTES = 16 << 20
_READ_AHEAD_BYTES = 1 << 18
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_PYTHON_SHEBANG = b"#!python"
_PYTHON_TAG = re.compile(r"(py|cp)(\d)(\d*)")


def add_wheel(
    writer: LayerWriter,
    path: Path,
    venv: str,
    python_version: str,
    bytecode: BytecodeCompiler | None = None,
    exclude: Sequence[str] = (),
) -> Origin:
    """Installs a wheel under the virtual environment `venv` (a path from the root, `opt/venv`).

    `python_version` is the target's, as `3.11`. With `bytecode`, each module in site-packages brings its `.pyc`, and
    RECORD lists these with digest and size as it does all else. Files of site-packages whose path there matches a
    pattern of `exclude` are left out, and RECORD does not list them; what describes the distribution stays.

    Raises:
      WheelError: the wheel is damaged, hostile or not for that Python; the message begins with its file name.
    """
    with open_wheel(path) as wheel:
        check_python(wheel, python_version)
        destination = _LayerDestination(writer, wheel, venv, python_version, bytecode, exclude)
        install_wheel(wheel, destination)
        return Origin("wheel", canonical_name(wheel.distribution), wheel.version)


def check_python(wheel: CheckedWheel, python_version: str) -> None:
    """Raises `WheelError` if no tag of the wheel's file name is for that minor version of CPython."""
    major, _, minor = python_version.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise WheelError(f"{python_version!r} is not a Python version such as 3.11")
    if not any(_fits(tag, int(major), int(minor)) for tag in wheel.tags):
        pythons = sorted({"-".join(tag.split("-")[:2]) for tag in wheel.tags})
        raise WheelError(f"{wheel.label}: is built for {', '.join(pythons)}, but the image has Python {python_version}")


def _fits(tag: str, major: int, minor: int) -> bool:
    python, _, abi = tag.partition("-")
    found = _PYTHON_TAG.fullmatch(python)
    if not found or int(found[2]) != major:
        return False
    kind, tagged = found[1], int(found[3] or 0)
    if kind == "py" or abi.startswith(("abi3-", "none-")):
        return tagged <= minor
    return tagged == minor


class _LayerDestination(WheelDestination):
    """Where `installer` installs to."""

    def __init__(
        self,
        writer: LayerWriter,
        wheel: CheckedWheel,
        venv: str,
        python_version: str,
        bytecode: BytecodeCompiler | None,
        exclude: Sequence[str],
    ) -> None:
        self._writer = writer
        self._exclude = exclude
        self._left_out: set[tuple[str, str]] = set()
        self._wheel = wheel
        self._bytecode = bytecode
        self._compiled: list[RecordEntry] = []
        self._interpreter = f"/{venv}/bin/python"
        self._site_packages = site_packages = f"{venv}/lib/python{python_version}/site-packages"
        self._schemes = {
            "purelib": site_packages,
            "platlib": site_packages,
            "scripts": f"{venv}/bin",
            "data": venv,
            "headers": f"{venv}/include/site/python{python_version}/{wheel.distribution}",
        }
        up = "../" * (site_packages.count("/") - venv.count("/"))
        self._prefixes = {
            scheme: None if place == site_packages else up + f"{place[len(venv) + 1 :]}/".lstrip("/")
            for scheme, place in self._schemes.items()
        }
        self._stated: dict[str, tuple[str, str]] = {}
        self._archive: _Archive | None = None

    def write_script(self, name: str, module: str, attr: str, section: ScriptSection) -> RecordEntry:
        """Writes the launcher of an entry point."""
        if "/" in name or name in ("", ".", ".."):
            raise WheelError(f"{self._wheel.label}: entry point {name!r} is not a file name")
        name, data = Script(name, module, attr, section).generate(self._interpreter, "posix")
        self._writer.add_bytes(f"{self._schemes['scripts']}/{name}", data, mode=0o755)
        return RecordEntry(name, None, len(data))

    def write_file(
        self, scheme: Scheme, path: str | os.PathLike[str], stream: BinaryIO, is_executable: bool
    ) -> RecordEntry:
        """Writes a file: spliced out of the wheel, or from memory if it was changed or generated."""
        path = str(path)
        place = f"{self._schemes[scheme]}/{path}"
        mode = 0o755 if is_executable or scheme == "scripts" else 0o644
        if not isinstance(stream, MemberStream):
            data = stream.read()
            self._writer.add_bytes(place, data, mode)
            return RecordEntry(path, None, len(data))
        member = stream.member
        if self._schemes[scheme] == self._site_packages and self._is_left_out(path):
            self._left_out.add((scheme, path))
            return RecordEntry(path, None, member.size)
        try:
            if scheme == "scripts" and self._starts_with_python(stream):
                return self._write_with_interpreter(path, place, stream, mode)
            self._writer.add_deflated(place, self._source(stream), mode)
            stated = self._wheel.record.get(member.name, ("", "", ""))[1]
            if stated.startswith("sha256="):
                self._stated[place] = (member.name, stated)
            is_imported = is_module(path, member.size) and not is_of_tests(path)
            if self._bytecode and self._schemes[scheme] == self._site_packages and is_imported:
                self._add_bytecode(self._bytecode.submit(place, stream.read()))
        except ContentError as error:
            raise WheelError(f"{self._wheel.label}: member {member.name!r} {error}") from None
        return RecordEntry(path, None, member.size)

    def finalize_installation(
        self, scheme: Scheme, record_file_path: str, records: Iterable[tuple[Scheme, RecordEntry]]
    ) -> None:
        """Checks the wheel's RECORD and writes the installed one."""
        if self._bytecode:
            self._add_bytecode(self._bytecode.drain())
        digests = {place: _base64(digest) for place, digest in self._writer.digests().items()}
        self._check_record(digests)
        compiled = [(scheme, entry) for entry in self._compiled]
        kept = [(where, entry) for where, entry in records if (where, entry.path) not in self._left_out]
        hashed = [(where, self._with_hash(where, entry, digests)) for where, entry in [*kept, *compiled]]
        with construct_record_file(hashed, self._prefixes.get) as stream:
            self._writer.add_bytes(f"{self._schemes[scheme]}/{record_file_path}", stream.read())

    def _is_left_out(self, path: str) -> bool:
        described = path.partition("/")[0].endswith(".dist-info")
        return not described and any(fnmatchcase(path, pattern) for pattern in self._exclude)

    def _add_bytecode(self, compiled: Iterable[tuple[str, bytes]]) -> None:
        for place, data in compiled:
            self._writer.add_bytes(place, data)
            self._compiled.append(RecordEntry(place.removeprefix(self._site_packages + "/"), None, len(data)))

    def _with_hash(self, scheme: Scheme, entry: RecordEntry, digests: dict[str, str]) -> RecordEntry:
        digest = digests.get(f"{self._schemes[scheme]}/{entry.path}")
        return RecordEntry(entry.path, Hash("sha256", digest), entry.size) if digest else entry

    def _check_record(self, digests: dict[str, str]) -> None:
        for place, (name, stated) in self._stated.items():
            if stated != f"sha256={digests[place]}":
                raise WheelError(f"{self._wheel.label}: member {name!r} differs from its SHA-256 in RECORD")

    def _source(self, stream: MemberStream) -> DeflateSource:
        if self._archive is None:
            self._archive = _Archive(stream.archive.fileno())
        member = stream.member
        section = _Section(self._archive, member.offset)
        return DeflateSource(section.read, member.stored_size, member.size, member.crc, member.deflated)

    def _starts_with_python(self, stream: MemberStream) -> bool:
        for piece in self._source(stream).inflate():
            return piece.startswith(_PYTHON_SHEBANG)
        return False

    def _write_with_interpreter(self, path: str, place: str, stream: MemberStream, mode: int) -> RecordEntry:
        if stream.member.size > _MAX_SCRIPT_BYTES:
            raise WheelError(
                f"{self._wheel.label}: script {stream.member.name!r} has {stream.member.size} bytes; "
                f"at most {_MAX_SCRIPT_BYTES} are taken"
            )
        with fix_shebang(stream, self._interpreter) as changed:
            data = changed.read()
        self._writer.add_bytes(place, data, mode)
        return RecordEntry(path, None, len(data))


class _Archive:
    """The wheel's bytes by position, read ahead: most members are small and follow each other."""

    __slots__ = ("_data", "_file", "_start")

    def __init__(self, file: int) -> None:
        self._file = file
        self._start = 0
        self._data = b""

    def at(self, position: int, size: int) -> bytes:
        start = position - self._start
        if start < 0 or start + size > len(self._data):
            self._data = os.pread(self._file, max(size, _READ_AHEAD_BYTES), position)
            self._start, start = position, 0
        return self._data[start : start + size]


class _Section:
    """The stored bytes of a member, from its first on."""

    __slots__ = ("_archive", "_position")

    def __init__(self, archive: _Archive, position: int) -> None:
        self._archive = archive
        self._position = position

    def read(self, size: int) -> bytes:
        data = self._archive.at(self._position, size)
        self._position += len(data)
        return data


def _base64(digest: str) -> str:
    """A digest in RECORD's form: URL-safe Base64 without padding."""
    data = binascii.b2a_base64(bytes.fromhex(digest.removeprefix("sha256:")), newline=False)
    return data.translate(_URL_SAFE, b"=").decode()

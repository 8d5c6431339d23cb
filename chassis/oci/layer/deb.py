"""Debian packages: the control data, and the files that the package installs.

Specification: deb(5), deb-control(5). Maintainer scripts are never run.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from chassis.errors import ChassisError
from chassis.oci.layer.ar import ArError, ArMember, Section, read_members
from chassis.oci.layer.decompression import Decompressed, DecompressionError
from chassis.oci.tar_reader import FILE, TarEntry, TarError, TarReader

_MAX_CONTROL_BYTES = 16 << 20
_MAX_ENTRIES = 200_000
_MAX_DEPTH = 100
_MAX_RATIO = 250
_MAX_UNQUESTIONED_BYTES = 2 << 30


class DebError(ChassisError):
    """A Debian package is damaged or holds what an image must not."""


@dataclass(frozen=True, slots=True)
class Control:
    """What a package says of itself.

    `paragraph` is the `control` file, `md5sums` and `postinst` the files of those names or empty; `file` the package's
    file name for errors.
    """

    file: str
    name: str
    version: str
    architecture: str
    paragraph: str
    md5sums: str
    postinst: str = ""


class PackageTar(TarReader):
    """A tar whose current file is read as a stream."""

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes of the current file, none only at its end.

        Raises:
          DebError: the archive is damaged or cut short.
        """
        size = self._left if size < 0 else min(size, self._left)
        try:
            data = self._exactly(size) if size else b""
        except DecompressionError as error:
            raise DebError(f"{self._where} {error}") from None
        except TarError as error:
            raise DebError(str(error)) from None
        self._left -= len(data)
        return data

    def seekable(self) -> bool:
        """False: the package is read once, front to back."""
        return False


class Package:
    """An open package whose control data were read."""

    def __init__(self, stream: BinaryIO, file: str, control: Control, data: ArMember) -> None:
        self._stream = stream
        self._file = file
        self._data = data
        self.control = control

    def entries(self) -> Iterator[tuple[TarEntry, BinaryIO]]:
        """Yields each entry, its path as written, with its content, to be read before the next one.

        Raises:
          DebError: the archive is damaged or too large.
        """
        most_bytes, size = _most_bytes(self._data), 0
        try:
            with _plain(self._stream, self._data) as plain:
                tar = PackageTar(cast("BinaryIO", plain), f"{self._file}: {self._data.name}")
                for count, entry in enumerate(tar):
                    size += entry.size
                    if count >= _MAX_ENTRIES:
                        raise DebError(f"{self._file}: has more than {_MAX_ENTRIES} entries")
                    if size > most_bytes:
                        raise DebError(f"{self._file}: holds files of over {most_bytes} bytes: a decompression bomb")
                    if (depth := entry.path.count("/")) > _MAX_DEPTH:
                        raise DebError(
                            f"{self._file}: {entry.path[:80]!r}… lies {depth} directories deep; at most {_MAX_DEPTH}"
                        )
                    yield entry, cast("BinaryIO", tar)
        except DecompressionError as error:
            raise DebError(f"{self._file}: {self._data.name} {error}") from None
        except TarError as error:
            raise DebError(str(error)) from None


@contextmanager
def open_package(path: Path) -> Iterator[Package]:
    """Opens a package and reads its control data.

    Raises:
      DebError: it is not a package of format 2, or a damaged one; the message begins with the file's name.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise DebError(f"{path.name}: cannot be read: {error.strerror}") from None
    with stream:
        try:
            members = list(read_members(stream))
        except ArError as error:
            raise DebError(f"{path.name}: {error}") from None
        control, data = _check_members(stream, path.name, members)
        yield Package(stream, path.name, _read_control(stream, path.name, control), data)


def _check_members(stream: BinaryIO, file: str, members: list[ArMember]) -> tuple[ArMember, ArMember]:
    names = [member.name for member in members]
    if names[:1] != ["debian-binary"] or not Section(stream, members[0]).read().startswith(b"2."):
        raise DebError(f"{file}: is not a Debian package of format 2")
    # Members whose names begin with an underscore may come between and are ignored (deb(5)).
    known = [member for member in members[1:] if not member.name.startswith("_")]
    kinds = [member.name.split(".tar")[0] for member in known]
    if kinds != ["control", "data"]:
        raise DebError(f"{file}: has the members {names}; expected are debian-binary, control.tar and data.tar")
    return known[0], known[1]


def _read_control(stream: BinaryIO, file: str, member: ArMember) -> Control:
    found: dict[str, str] = {}
    try:
        with _plain(stream, member) as plain:
            tar = PackageTar(cast("BinaryIO", plain), f"{file}: {member.name}")
            for entry in tar:
                name = entry.path.removeprefix("./")
                if entry.type == FILE and name in ("control", "md5sums", "postinst"):
                    if entry.size > _MAX_CONTROL_BYTES:
                        raise DebError(f"{file}: its {name} has {entry.size} bytes; at most {_MAX_CONTROL_BYTES}")
                    found[name] = tar.read().decode("utf-8", "replace" if name == "postinst" else "strict")
    except DecompressionError as error:
        raise DebError(f"{file}: {member.name} {error}") from None
    except TarError as error:
        raise DebError(str(error)) from None
    except UnicodeDecodeError as error:
        raise DebError(f"{file}: its control data are not UTF-8: {error}") from None
    if "control" not in found:
        raise DebError(f"{file}: {member.name} has no file `control`")
    fields = parse_paragraph(found["control"])
    for name in ("Package", "Version", "Architecture"):
        if not fields.get(name):
            raise DebError(f"{file}: its control file has no field {name}")
    name = fields["Package"]
    if os.sep in name or not name.isascii() or not name.isprintable() or name.startswith("."):
        raise DebError(f"{file}: its control file has the impossible package name {name!r}")
    return Control(
        file=file,
        name=name,
        version=fields["Version"],
        architecture=fields["Architecture"],
        paragraph=found["control"].strip("\n") + "\n",
        md5sums=found.get("md5sums", ""),
        postinst=found.get("postinst", ""),
    )


def parse_paragraph(text: str) -> dict[str, str]:
    """The fields of a control paragraph, the first line of each (deb822(5))."""
    fields: dict[str, str] = {}
    for line in io.StringIO(text):
        name, colon, value = line.partition(":")
        if colon and not name[:1].isspace():
            fields.setdefault(name, value.strip())
    return fields


def _plain(stream: BinaryIO, member: ArMember) -> Decompressed:
    form = member.name.partition(".tar")[2].removeprefix(".")
    return Decompressed(cast("BinaryIO", Section(stream, member)), form, _most_bytes(member))


def _most_bytes(member: ArMember) -> int:
    """What a member may inflate to: more is a bomb."""
    return max(_MAX_UNQUESTIONED_BYTES, member.size * _MAX_RATIO)

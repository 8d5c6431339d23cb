"""An uploaded archive of a packed model, checked and unpacked while nothing in it is trusted.

The archive is a plain tar, as `chassis/packed_model/model.py` writes it.
"""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from tarfile import TarInfo
from typing import BinaryIO

from chassis.declaration.kinds import MetadataError
from chassis.declaration.model import ModelMetadata
from chassis.declaration.model_json import SIGNATURES
from chassis.declaration.pythons import GIVEN_PYTHONS
from chassis.errors import ChassisError
from chassis.packed_model.model import DESCRIPTION, FILES, FORMAT, PICKLE, PackedModel, PackedModelError, check_key
from chassis.packed_model.requirements import RequirementError, merge

_DESCRIPTION_BYTES = 1 << 20
_BLOCK = 1 << 20
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_MAX_TEXT = 10_000
_EXTENDED_BYTES = 1 << 16
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE)


class UploadError(ChassisError, ValueError):
    """An upload that is refused; the message says which part and why."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an upload may be.

    Attributes:
      archive_bytes: the archive as it is sent.
      unpacked_bytes: all files in it together.
      files: how many, directories included.
      requirements: how many.
      name_characters: the model's name.
    """

    archive_bytes: int = 4 << 30
    unpacked_bytes: int = 4 << 30
    files: int = 10_000
    requirements: int = 200
    name_characters: int = 100


class _BoundedInfo(tarfile.TarInfo):
    """A header that refuses extended headers of unusual size, which the library would read into memory whole, and those
    for all files, which it would keep."""

    def _proc_member(self, tarfile: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in (b"g", b"X"):
            raise UploadError("the archive has an extended header for all of its files")
        if self.type not in _REGULAR and self.size > _EXTENDED_BYTES:
            raise UploadError(f"the archive has an extended header of {self.size} bytes")
        read: TarInfo = super()._proc_member(tarfile)  # type: ignore[misc]
        return read


def unpack(archive: BinaryIO, directory: Path, limits: Limits) -> PackedModel:
    """Unpacks `archive`, read once from front to back, into the empty `directory`; the pickle is not loaded.

    Raises:
      UploadError: it is not such an archive, is cut short, or holds more than `limits` allow.
    """
    left = limits.unpacked_bytes
    seen: set[str] = set()
    folders: set[Path] = set()
    try:
        with tarfile.open(fileobj=archive, mode="r|", tarinfo=_BoundedInfo) as tar:
            while (member := tar.next()) is not None:
                # The library keeps them, with their extended headers.
                tar.members.clear()  # type: ignore[attr-defined]
                key = _key(member, seen)
                seen.add(key.lower())
                folders.update(Path(key).parents)
                if len(seen) + len(folders) > limits.files:
                    raise UploadError(f"the archive has more than {limits.files} files and directories")
                left -= member.size
                if left < 0:
                    raise UploadError(f"the archive unpacks to more than {limits.unpacked_bytes} bytes")
                if key == DESCRIPTION and member.size > _DESCRIPTION_BYTES:
                    raise UploadError(f"{DESCRIPTION} has {member.size} bytes, expected at most {_DESCRIPTION_BYTES}")
                _write(tar, member, directory / key)
    except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, UploadError):
            raise
        if isinstance(error, FileExistsError | IsADirectoryError | NotADirectoryError):
            raise UploadError("the archive has a file where another of its files needs a directory") from None
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UploadError(f"the archive is not a whole tar file: {error}") from None
    for needed in (DESCRIPTION, PICKLE):
        if needed not in seen:
            raise UploadError(f"the archive has no {needed}, it may have been cut short")
    return read_model(directory, limits)


def read_model(directory: Path, limits: Limits) -> PackedModel:
    """The model that was unpacked into `directory`.

    Raises:
      UploadError: its description cannot be understood.
    """
    try:
        document = json.loads((directory / DESCRIPTION).read_bytes())
        json.dumps(document, ensure_ascii=False).encode()  # which fails at halves of characters, as "\\ud800" gives
    except (ValueError, RecursionError) as error:
        raise UploadError(f"{DESCRIPTION} is not JSON: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UploadError(f"{DESCRIPTION}: expected format {FORMAT}; pack the model with the Chassis of this service")
    unknown = set(document) - {"files", "format", "metadata", "python", "requirements", "signature"}
    if unknown:
        raise UploadError(f"{DESCRIPTION}: unknown key {min(unknown)[:100]!r}")
    if document.get("python") not in GIVEN_PYTHONS:
        raise UploadError(
            f"the model was packed with Python {str(document.get('python'))[:20]}, and this service has images of "
            f"{', '.join(GIVEN_PYTHONS)}\n  pack it with a Python of one of these"
        )
    if document.get("signature") not in ("auto", *SIGNATURES):
        raise UploadError(f"{DESCRIPTION}: signature: expected auto, {', '.join(SIGNATURES)}")
    return PackedModel(
        metadata=_metadata(document.get("metadata"), limits),
        pickle=directory / PICKLE,
        requirements=_requirements(document.get("requirements"), limits),
        signature=str(document["signature"]),
        files=_files(document.get("files"), directory / FILES),
        python=str(document["python"]),
    )


def _files(declared: object, root: Path) -> dict[str, Path]:
    found = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
    if not isinstance(declared, dict):
        raise UploadError(f"{DESCRIPTION}: files: expected an object of key and size")
    for key in sorted(set(declared) ^ set(found)):
        where = "is missing from the archive: it may have been cut short"
        if key not in declared:
            where = f"{DESCRIPTION} does not name"
        raise UploadError(f"file {key[:200]!r}, which {where}")
    for key, path in found.items():
        if declared[key] != path.stat().st_size:
            raise UploadError(
                f"file {key!r} has {path.stat().st_size} bytes, {DESCRIPTION} says {declared[key]!r}"[:400]
            )
    return found


def _key(member: tarfile.TarInfo, seen: set[str]) -> str:
    shown = member.name[:200]
    if not member.isreg() or member.issparse():
        raise UploadError(f"{shown!r} in the archive is not a plain file: links, devices and directories are refused")
    if member.size < 0:
        raise UploadError(f"{shown!r} in the archive has a size below 0")
    if member.name.lower() in seen:
        raise UploadError(f"{shown!r} is in the archive twice")
    if member.name in (DESCRIPTION, PICKLE):
        return member.name
    folder, _, key = member.name.partition("/")
    if folder != FILES or not key:
        raise UploadError(f"{shown!r} in the archive: expected {DESCRIPTION}, {PICKLE} and files below {FILES}/")
    try:
        check_key(key)
    except PackedModelError as error:
        raise UploadError(f"in the archive: {error}") from None
    return member.name


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    source = tar.extractfile(member)
    assert source is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("xb") as file:
        while data := source.read(_BLOCK):
            file.write(data)
            written += len(data)
    if written != member.size:
        raise UploadError(f"the archive ends inside of {member.name[:200]!r}: {written} of {member.size} bytes")


def _metadata(document: object, limits: Limits) -> ModelMetadata:
    try:
        metadata = ModelMetadata.parse(document)
    except MetadataError as error:
        raise UploadError(f"{DESCRIPTION}: metadata: {str(error)[:1000]}") from None
    if len(metadata.name) > limits.name_characters or not _NAME.fullmatch(metadata.name):
        raise UploadError(
            f"the model's name {metadata.name[:100]!r}: expected at most {limits.name_characters} lower-case letters "
            "and digits with single `-` between them"
        )
    if not _VERSION.fullmatch(metadata.model_version):
        raise UploadError(
            f"the model's version {metadata.model_version[:100]!r}: it becomes a tag, expected 1 to 128 letters, "
            "digits, `.`, `_`, `-`, and none of `.-` at its start"
        )
    if any(len(text) > _MAX_TEXT or "\0" in text for text in metadata.texts()):
        raise UploadError(f"{DESCRIPTION}: metadata: a text of more than {_MAX_TEXT} characters, or with a NUL")
    return metadata


def _requirements(document: object, limits: Limits) -> tuple[str, ...]:
    if not isinstance(document, list) or not all(isinstance(line, str) for line in document):
        raise UploadError(f"{DESCRIPTION}: requirements: expected a list of strings")
    if len(document) > limits.requirements:
        raise UploadError(f"{len(document)} requirements, expected at most {limits.requirements}")
    try:
        return tuple(merge(document, []))
    except RequirementError as error:
        raise UploadError(str(error)) from None

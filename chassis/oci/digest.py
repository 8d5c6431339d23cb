"""Content digests in OCI's textual form, `sha256:<64 hex digits>`.

Specification: OCI image specification, descriptor.md, section "Digests". Only sha256 is written or accepted.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import BinaryIO

from chassis.errors import ChassisError

PREFIX = "sha256:"
_FORM = re.compile(r"sha256:[0-9a-f]{64}")
_READ_BYTES = 1 << 20


class DigestError(ChassisError):
    """A digest is malformed, or content does not have the digest that names it."""


def check_digest(value: object, where: str) -> str:
    """Returns `value` if it is a well-formed sha256 digest; `where` names the field in the error."""
    if not isinstance(value, str) or not _FORM.fullmatch(value):
        raise DigestError(f"{where}: {value!r} is not a digest of the form sha256:<64 lower-case hex digits>")
    return value


def hex_of(digest: str) -> str:
    """The hexadecimal part of a digest: the name of its blob in a layout directory."""
    return digest.removeprefix(PREFIX)


def of_bytes(data: bytes) -> str:
    """The digest of `data`."""
    return PREFIX + hashlib.sha256(data).hexdigest()


def of_stream(stream: BinaryIO) -> tuple[str, int]:
    """The digest and the length in bytes of what is left in `stream`, read with flat memory."""
    state, size = hashlib.sha256(), 0
    while chunk := stream.read(_READ_BYTES):
        state.update(chunk)
        size += len(chunk)
    return PREFIX + state.hexdigest(), size


def of_file(path: Path) -> tuple[str, int]:
    """The digest and the length in bytes of a file."""
    with path.open("rb") as stream:
        return of_stream(stream)

"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from chassis.errors import ChassisError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content becomes `path`, with the mode 0644, when the block ends; unchanged if it fails."""
    # Not by the process's number: threads share it, and so do containers that share a directory.
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with part.open("xb") as stream:
            os.fchmod(stream.fileno(), 0o644)
            yield stream
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file in one step.

    Raises:
      ChassisError: it cannot be written.
    """
    try:
        with whole_file(path) as stream:
            stream.write(content)
    except OSError as error:
        raise ChassisError(f"{path}: cannot be written: {error.strerror}") from None

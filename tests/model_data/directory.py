"""A model whose data is a directory: it says what is in it."""

from __future__ import annotations

import chassis


def files(_: bytes) -> dict[str, str]:
    """The files of the directory, with what they hold."""
    root = chassis.data_path("words")
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}

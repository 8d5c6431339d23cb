"""The workspace's status: lines of `KEY value` (https://bazel.build/docs/user-manual#workspace-status)."""

from __future__ import annotations

from pathlib import Path

from chassis.errors import ChassisError


class StatusFileError(ChassisError):
    """A file of the workspace's status cannot be read."""


def read_status(paths: list[Path]) -> dict[str, str]:
    """The workspace's status: keys and values of every file, a later file's over an earlier one's.

    Raises:
      StatusFileError: a file cannot be read.
    """
    status: dict[str, str] = {}
    for path in paths:
        for line in _lines(path):
            key, _, value = line.partition(" ")
            status[key] = value
    return status


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StatusFileError(f"{path}: cannot be read as text: {error}") from None

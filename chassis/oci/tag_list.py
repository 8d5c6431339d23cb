"""Tags from files: a list of them, one a line, and templates that the workspace's status fills in.

Bazel writes the status as lines of `KEY value` (https://bazel.build/docs/user-manual#workspace-status).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from chassis.errors import ChassisError
from chassis.oci.registry.reference import check_tag

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FORBIDDEN = re.compile(r"[^A-Za-z0-9._-]")


class TagFileError(ChassisError):
    """A file of tags or of the workspace's status cannot be used."""


def read_tags(path: Path) -> list[str]:
    """The tags of a file, one a line; empty lines do not count.

    Raises:
      TagFileError: it cannot be read or holds no tag. ImageReferenceError: a line is not a tag.
    """
    tags = [line.strip() for line in _lines(path) if line.strip()]
    if not tags:
        raise TagFileError(f"{path}: holds no tag; one a line is expected")
    return [check_tag(tag) for tag in tags]


def read_status(paths: list[Path]) -> dict[str, str]:
    """The workspace's status: keys and values of every file, a later file's over an earlier one's."""
    status: dict[str, str] = {}
    for path in paths:
        for line in _lines(path):
            key, _, value = line.partition(" ")
            status[key] = value
    return status


def stamp(template: str, status: Mapping[str, str]) -> str:
    """The tag that `{KEY}`s of the workspace's status make of a template. What a tag may not hold, such as the `+` of
    a version, becomes `-`.

    Raises:
      TagFileError: the status has no such key, or an empty value. ImageReferenceError: the result is not a tag.
    """

    def value(match: re.Match[str]) -> str:
        found = status.get(match[1], "").strip()
        if not found:
            known = ", ".join(sorted(key for key in status if key)) or "none"
            raise TagFileError(
                f"tag {template!r}: the workspace's status has no {match[1]}; it has: {known}\n"
                f"  let the command of --workspace_status_command print a line `{match[1]} value`"
            )
        return _FORBIDDEN.sub("-", found)

    return check_tag(_PLACEHOLDER.sub(value, template))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TagFileError(f"{path}: cannot be read as text: {error}") from None

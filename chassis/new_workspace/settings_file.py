"""What a `.bazelrc` lacks of the settings that Chassis needs."""

from __future__ import annotations

from collections.abc import Sequence


def with_settings(text: str, wanted: str, more: Sequence[str] = ()) -> str:
    """The text of a `.bazelrc` with those settings of `wanted` at its end that it sets to nothing yet.

    `wanted` is the text of another: a comment belongs to the settings below it, up to an empty line.
    """
    known = {_flag(line) for line in text.splitlines()}
    blocks = [*wanted.strip("\n").split("\n\n"), "\n".join(more)]
    added = []
    for block in blocks:
        lines = block.splitlines()
        missing = [line for line in lines if _flag(line) and _flag(line) not in known]
        if missing or (lines and not any(map(_flag, lines)) and not text):
            added.append("\n".join([*(line for line in lines if line.startswith("#")), *missing]))
    if not added:
        return text
    return "\n\n".join([*([text.rstrip("\n")] if text.strip() else []), *added]) + "\n"


def _flag(line: str) -> str:
    """The flag of a line, without its value and its `no`; "" if the line sets none for every build."""
    words = line.split()
    if len(words) < 2 or words[0].startswith("#") or ":" in words[0] or not words[1].startswith("--"):
        return ""
    name = words[1].removeprefix("--").partition("=")[0]
    return name.removeprefix("no") if "=" not in words[1] else name

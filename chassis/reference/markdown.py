"""The few forms of Markdown that the reference has."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

WRITTEN = "<!-- Written by `bazel run //docs:update` from what the code says about itself: do not edit. -->"


def page(title: str, introduction: str, sections: Iterable[str]) -> str:
    """A page: title, introduction, sections."""
    return "\n\n".join([f"# {title}", WRITTEN, *filter(None, [introduction.strip()]), *sections]) + "\n"


def section(title: str, *paragraphs: str, level: int = 2) -> str:
    """A headline with what follows; empty paragraphs are left out."""
    return "\n\n".join([f"{'#' * level} {title}", *(text for text in paragraphs if text)])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; empty for no rows."""
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |", *lines]) if lines else ""


def code(text: str) -> str:
    """A short piece of code."""
    ticks = "``" if "`" in text else "`"
    return f"{ticks}{text}{ticks}"


def prose(text: str) -> str:
    """A docstring's text as it is, without its indentation."""
    return inspect.cleandoc(text).strip()


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()

"""The entry points of a wheel that become scripts, read as pip reads them.

Specification: PyPA, "Entry points specification". Each line counts for itself, however it is indented, and of two
with one name the later counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SECTIONS = ("console_scripts", "gui_scripts")
_VALUE = re.compile(r"[\w.]+\s*:\s*[\w.]+\s*(?:\[.*\]\s*)?")

# What setuptools' own launchers of an entry point are called beside its name.
_LAUNCHER_SUFFIXES = (".exe", "-script.py", ".pya")


class EntryPointError(ValueError):
    """A line of entry_points.txt that is not what it should be."""


@dataclass(frozen=True, slots=True)
class EntryPoints:
    """The scripts of a wheel: `section` of entry_points.txt and value (`module:attribute`), by name."""

    scripts: dict[str, tuple[str, str]]

    def text(self) -> str:
        """entry_points.txt with these scripts alone, each once."""
        lines = []
        for section in _SECTIONS:
            lines.append(f"[{section}]")
            lines += [f"{name} = {value}" for name, (where, value) in self.scripts.items() if where == section]
        return "\n".join([*lines, ""])

    def has_launcher(self, filename: str) -> bool:
        """Whether a file of the scripts scheme is a launcher of one of these, which the installer makes itself."""
        name = filename.rpartition("/")[2]
        for suffix in _LAUNCHER_SUFFIXES:
            if name.lower().endswith(suffix):
                name = name[: -len(suffix)]
                break
        return name in self.scripts


def read_entry_points(text: str) -> EntryPoints:
    """Reads the text of entry_points.txt.

    Raises:
      EntryPointError: a script's line is not `name = module:attribute`; the message has the line and its number.
    """
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith(("#", ";")):
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not section or not equals:
            raise EntryPointError(
                f"entry_points.txt, line {number}: {line!r} is in no section, or is not `name = value`"
            )
        if section in found:
            if not name or not _VALUE.fullmatch(value):
                raise EntryPointError(
                    f"entry_points.txt, line {number}: {line!r} is not a script's `name = module:attribute`"
                )
            found[section][name] = value
    scripts = {name: (kind, value) for kind in _SECTIONS for name, value in found[kind].items()}
    return EntryPoints(scripts)

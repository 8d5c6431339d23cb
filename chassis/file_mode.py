"""The mode of a file in an image or a wheel: by what the file is, never by what the machine says of it.

Sandboxes, caches and remote execution keep no modes (a remote worker gets every file as 0755, a checkout depends on the
umask), so a mode that is copied gives other bytes elsewhere.
"""

from __future__ import annotations

from pathlib import Path

EXECUTABLE = 0o755
PLAIN = 0o644

_EXECUTABLE_STARTS = (b"#!", b"\x7fELF")


def mode_of(content: bytes) -> int:
    """0755 for what starts as an executable does (`#!` or ELF), 0644 for all else; four bytes are enough."""
    return EXECUTABLE if content.startswith(_EXECUTABLE_STARTS) else PLAIN


def mode_of_file(path: Path) -> int:
    """`mode_of` a file, links followed."""
    with path.open("rb") as stream:
        return mode_of(stream.read(4))

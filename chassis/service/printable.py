"""Text of builds, made safe to show: what a build writes may be made to deceive a terminal or a reader."""

from __future__ import annotations

_KEPT = frozenset("\t\n")


def printable(text: str) -> str:
    """`text` with every control character and every invisible one as an escape, `\\x1b` for instance.

    Escape sequences of terminals, carriage returns that overwrite a line, and marks that turn the direction of text
    around are shown, not obeyed. Line feeds and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in _KEPT else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()

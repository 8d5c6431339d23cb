"""Compares versions of Debian packages (deb-version(7))."""

from __future__ import annotations

import re
from itertools import zip_longest

_PARTS = re.compile(r"(\D*)(\d*)")


def debian_key(version: str) -> tuple[int, list[tuple[list[int], int]], list[tuple[list[int], int]]]:
    """A key by which versions sort as dpkg has them.

    Raises:
      ValueError: the epoch is not a number.
    """
    epoch, colon, rest = version.strip().partition(":")
    if not colon:
        epoch, rest = "0", version.strip()
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    return int(epoch), _key(upstream), _key(revision)


def _key(text: str) -> list[tuple[list[int], int]]:
    """Words and numbers in turns; a word's end sorts after `~` and before all else, letters before the rest."""
    parts = [([*map(_order, word), 0], int(number or 0)) for word, number in _PARTS.findall(text)]
    while len(parts) > 1 and parts[-1] == ([0], 0):
        parts.pop()
    return [*parts, ([0], 0)]


def _order(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def is_older(version: str, other: str) -> bool:
    """Whether `version` comes before `other`."""
    mine, theirs = debian_key(version), debian_key(other)
    if mine[0] != theirs[0]:
        return mine[0] < theirs[0]
    for left, right in ((mine[1], theirs[1]), (mine[2], theirs[2])):
        for one, two in zip_longest(left, right, fillvalue=([0], 0)):
            if one != two:
                return one < two
    return False

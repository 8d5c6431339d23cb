"""A small model of text that gives word after word: which word follows which, counted in a few sentences."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

TEXT = """
the fox sees the hen . the hen sees the fox . the fox runs after the hen . the hen runs to the house .
the house is red . the fox is red . the farmer sees the fox . the fox runs away .
"""
MAX_WORDS = 12


def _followers(text: str) -> dict[str, dict[str, int]]:
    """For each word, how often which word comes next."""
    found: dict[str, dict[str, int]] = {}
    words = text.split()
    for word, following in itertools.pairwise(words):
        counts = found.setdefault(word, {})
        counts[following] = counts.get(following, 0) + 1
    return found


FOLLOWERS = _followers(TEXT)


def generate(prompt: bytes) -> Iterator[str]:
    """The words that go on with the last one of `prompt`, until a full stop; each the likeliest not taken yet."""
    word = prompt.decode().split()[-1]
    taken: dict[str, set[str]] = {}
    for _ in range(MAX_WORDS):
        seen = taken.setdefault(word, set())
        counts = {other: count for other, count in FOLLOWERS.get(word, {}).items() if other not in seen}
        if not counts:
            return
        following = max(sorted(counts), key=counts.__getitem__)
        seen.add(following)
        word = following
        yield word
        if word == ".":
            return

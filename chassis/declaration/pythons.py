"""The Python versions of images."""

from __future__ import annotations

PYTHONS = ("3.11",)
"""The minor versions that an image can have."""

DEFAULT_PYTHON = "3.11"
"""That of an image whose base says no other."""


def version_tuple(python: str) -> tuple[int, int]:
    """`(3, 11)` of `3.11`."""
    major, _, minor = python.partition(".")
    return int(major), int(minor)

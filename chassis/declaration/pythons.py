"""The Python versions of images: the one table of them, from which rules, locks, the SDK and the service read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImagePython:
    """A minor version that images can have.

    Attributes:
      version: the whole version that markers are evaluated for, such as `3.13.5`.
      glibc: the version that wheels are chosen for, such as `2.41`.
      suite: the Debian release whose packages Chassis brings; empty if a workspace brings its own `image_python`.
    """

    version: str
    glibc: str
    suite: str


IMAGE_PYTHONS = {
    "3.10": ImagePython("3.10.12", "2.35", ""),  # as Ubuntu 22.04 has it, and with it JetPack 6
    "3.11": ImagePython("3.11.2", "2.36", "bookworm"),
    "3.12": ImagePython("3.12.3", "2.36", ""),
    "3.13": ImagePython("3.13.5", "2.41", "trixie"),
    "3.14": ImagePython("3.14.8", "2.43", "forky"),
}
"""By minor version."""

PYTHONS = tuple(IMAGE_PYTHONS)
"""The minor versions that an image can have."""

GIVEN_PYTHONS = tuple(version for version, one in IMAGE_PYTHONS.items() if one.suite)
"""Those that Chassis brings all of: a base for each CPU, an interpreter, headers."""

DEFAULT_PYTHON = "3.13"
"""That of an image which asks for no other."""

TOOLS_PYTHON = "3.11"
"""That of the programs of the build; no image, and nothing of a workspace, runs on it."""


def version_tuple(python: str) -> tuple[int, int]:
    """`(3, 11)` of `3.11`."""
    major, _, minor = python.partition(".")
    return int(major), int(minor)


def whole_version(python: str) -> str:
    """`3.11.2` of `3.11`, as markers are evaluated for it; a whole version as it is."""
    if python.count(".") > 1:
        return python
    return IMAGE_PYTHONS[python].version if python in IMAGE_PYTHONS else f"{python}.0"

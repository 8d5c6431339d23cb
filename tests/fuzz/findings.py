"""What a fuzzed input must never do."""

from __future__ import annotations

from pathlib import Path

CANARY = "canary"


class Finding(AssertionError):
    """Something that a layer tool must not do, whatever its input."""


def prepare(folder: Path) -> None:
    """Makes a directory whose own content shows what was written out of place."""
    folder.mkdir()
    (folder / CANARY).write_bytes(b"whole")


def check_surroundings(folder: Path, *expected: str) -> None:
    """Raises if `folder` holds anything but `expected` beside the canary, or that was touched."""
    found = {path.name for path in folder.iterdir()}
    if found != {CANARY, *expected}:
        raise Finding(f"{sorted(found ^ {CANARY, *expected})} is in the directory of the input, or gone from it")
    if (folder / CANARY).read_bytes() != b"whole":
        raise Finding("a file beside the root was changed")


def check_same(what: str, ours: object, theirs: object) -> None:
    """Raises if two readers differ."""
    if ours != theirs:
        raise Finding(f"{what}: {_shown(ours, theirs)}")


def _shown(ours: object, theirs: object) -> str:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
        return "; ".join(
            f"{key!r} is {ours.get(key)!r:.200} here and {theirs.get(key)!r:.200} there" for key in keys[:5]
        )
    return f"{ours!r:.500} here and {theirs!r:.500} there"

"""Data that a model reads while it is imported: if what it read is in the pickle, the image has it twice."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

MIN_BYTES = 10_000_000
"""Less than that, twice, is not worth a word."""


class DataReads:
    """Hears which files below a directory are opened, from `start` until `end`; a process keeps what hears them."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._hears = False
        self._opened: set[Path] = set()

    def start(self) -> None:
        """Hears from now on."""
        self._hears = True
        sys.addaudithook(self._hear)

    def end(self) -> Mapping[str, int]:
        """Hears no more; returns the size of each file that was opened, by its key."""
        self._hears = False
        files = sorted(path for path in self._opened if path.is_file())
        return {path.relative_to(self._root).as_posix(): path.stat().st_size for path in files}

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self._hears and event == "open" and isinstance(arguments[0], str | bytes):
            path = Path(os.fsdecode(arguments[0])).absolute()
            if path.is_relative_to(self._root):
                self._opened.add(path)


def twice(read: Mapping[str, int], pickled_bytes: int) -> str:
    """What to say of data that was read and of a pickle of so many bytes; "" if there is nothing to say."""
    total = sum(read.values())
    if min(total, pickled_bytes) < MIN_BYTES:
        return ""
    named = ", ".join(read) if len(read) <= 3 else f"{', '.join(list(read)[:3])} and {len(read) - 3} more"
    return (
        f"{named}: {total / 1e6:.1f} MB of `data` are read where the model is pickled, and the pickle has "
        f"{pickled_bytes / 1e6:.1f} MB, so the image has them twice; read them in the function that `loader` of the "
        "chassis_model names, or take them out of the pickle"
    )

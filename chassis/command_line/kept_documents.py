"""What a persistent worker has read of its inputs, kept for the next action that has the same ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from chassis.command_line.persistent_worker import Digests

_MOST_BYTES = 16 << 20

_T = TypeVar("_T")


class KeptDocuments(Generic[_T]):
    """Documents by their path and digest, the latest ones up to a sum of their files' sizes. None is ever changed."""

    def __init__(self, read: Callable[[Path], _T], most_bytes: int = _MOST_BYTES) -> None:
        """`read` reads one from its file."""
        self._read = read
        self._most = most_bytes
        self._kept: dict[tuple[Path, str], tuple[_T, int]] = {}

    def among(self, digests: Digests) -> Callable[[Path], _T]:
        """What reads the inputs of one action; a file that is not one of them is read anew each time."""

        def read(path: Path) -> _T:
            digest = digests.get(str(path))
            return self._document(path, digest) if digest else self._read(path)

        return read

    def _document(self, path: Path, digest: str) -> _T:
        found = self._kept.pop((path, digest), None) or (self._read(path), path.stat().st_size)
        self._kept[path, digest] = found
        left = self._most - sum(size for _, size in self._kept.values())
        while left < 0:
            left += self._kept.pop(next(iter(self._kept)))[1]
        return found[0]

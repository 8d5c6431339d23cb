"""The layers of a base as one root: what is added goes into the layer that was chosen, what is there counts for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from chassis.oci.layer.error import LayerError, parent_error
from chassis.oci.layer.paths import check_path
from chassis.oci.layer.tar_header import ROOT, Owner
from chassis.oci.layer.writer import LayerWriter

_DIRECTORY_MODE = 0o755


class BaseLayers:
    """The part of a layer writer that a base needs, for several writers.

    A directory has the same mode and owner in every layer that has it; a path that is not a directory is in one layer
    alone, and nothing in any lies under it.
    """

    def __init__(self, writers: Sequence[LayerWriter]) -> None:
        self._writers = tuple(writers)
        self._current = self._writers[0]
        self._directories: dict[str, tuple[int, Owner]] = {}

    def choose(self, number: int) -> None:
        """What is added from now on goes into the layer of that number, 0 for the lowest."""
        self._current = self._writers[number]

    def has(self, path: str) -> bool:
        """Whether `path` was added, as anything."""
        return self.type_of(path) is not None

    def type_of(self, path: str) -> str | None:
        """`dir`, `reg`, `symlink` or `hardlink` if `path` was added, else None."""
        return next((kind for writer in self._writers if (kind := writer.type_of(path)) is not None), None)

    def add_directory(self, path: str, mode: int = _DIRECTORY_MODE, owner: Owner = ROOT) -> None:
        """Adds a directory; if one of another mode was added, it keeps that."""
        self._prepare(path)
        if (kind := self.type_of(path)) not in (None, "dir"):
            raise LayerError(f"{path!r} is there twice, as a directory and as a {kind}")
        self._current.add_directory(path, *self._directories.setdefault(path, (mode, owner)))

    def add_symlink(self, path: str, target: str) -> None:
        """Adds a symbolic link that stays within the image."""
        self._prepare(path)
        self._current.add_symlink(path, target)

    def add_hardlink(self, path: str, target: str) -> None:
        """Adds another name of `target`, a file of the same layer that was added before."""
        self._prepare(path)
        self._current.add_hardlink(path, target)

    def add_bytes(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Adds a file from memory."""
        self._prepare(path)
        self._current.add_bytes(path, data, mode)

    def add_stream(self, path: str, stream: BinaryIO, size: int, mode: int = 0o644) -> None:
        """Adds a file of `size` bytes."""
        self._prepare(path)
        self._current.add_stream(path, stream, size, mode)

    def end_part(self, name: str, version: str) -> None:
        """Says that what was added to the current layer since the last call belongs to that package."""
        self._current.end_part(name, version)

    def _prepare(self, path: str) -> None:
        """Adds the directories above `path` to the current layer as the others have them."""
        check_path(path)
        end = path.find("/")
        while end > 0:
            parent = path[:end]
            if self._current.type_of(parent) is None:
                if (kind := self.type_of(parent)) not in (None, "dir"):
                    raise parent_error(path, parent, kind)
                self._current.add_directory(parent, *self._directories.get(parent, (_DIRECTORY_MODE, ROOT)))
            end = path.find("/", end + 1)

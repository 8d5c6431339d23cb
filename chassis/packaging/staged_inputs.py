"""The inputs of an action, in a directory that has nothing else: what a sandbox of Bazel's is, for a worker."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_COPIED_BYTES = 64 << 20
"""A larger file on another file system stays where it is."""


@dataclass(frozen=True, slots=True)
class StagedInputs:
    """Inputs in a directory of their own.

    Attributes:
      root: the directory; a file has the same path below it as below the directory that the action runs in.
      trees: path of a directory among the inputs to where its files really are.
      whole: whether all but the trees is really there, and no link to where it was before.
    """

    root: Path
    trees: Mapping[str, Path]
    whole: bool

    def at(self, path: Path) -> Path:
        """Where an input is, given its path in the action: a tree where it really is, and what is in one too."""
        for tree, real in self.trees.items():
            if path.is_relative_to(tree):
                return real / path.relative_to(tree)
        return self.root / path


def stage(files: Iterable[str], trees: Iterable[str], known: Mapping[str, str], root: Path) -> StagedInputs:
    """Puts inputs into `root`, a directory that does not exist yet.

    Args:
      files: paths of files, from the directory that the action runs in.
      trees: paths of directories that are outputs of other actions.
      known: paths of all inputs, those in trees by themselves; see `digests` of persistent_worker.py.
      root: the directory.
    """
    root.mkdir()
    whole = True
    made = {root}
    for file in files:
        place = root / file
        _parents(place, made)
        whole &= _put(Path(file).resolve(), place)
    real = {tree: _real(tree, known) for tree in trees}
    for tree, found in real.items():
        _parents(root / tree, made)
        (root / tree).symlink_to(found)
    return StagedInputs(root, real, whole)


def _parents(place: Path, made: set[Path]) -> None:
    if place.parent not in made:
        place.parent.mkdir(parents=True, exist_ok=True)
        made.add(place.parent)


def _put(file: Path, place: Path) -> bool:
    """A second name of the file, or a copy; or a link to it, and then False."""
    if file.is_file():
        try:
            os.link(file, place)
            return True
        except OSError:  # another file system, or not the user's own
            if file.stat().st_size <= _COPIED_BYTES:
                shutil.copyfile(file, place)
                return True
    place.symlink_to(file)
    return False


def _real(tree: str, known: Mapping[str, str]) -> Path:
    """In a worker's sandbox the files are links, each to where its tree has it."""
    for path in known:
        if path.startswith(tree + "/"):
            file, inner = Path(path).resolve(), path[len(tree) :]
            if str(file).endswith(inner):
                return Path(str(file)[: -len(inner)])
            break
    return Path(tree).resolve()

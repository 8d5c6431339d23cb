"""The inputs of an action, in a directory that has nothing else: what a sandbox of Bazel's is, for a worker."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_COPIED_BYTES = 64 << 20
_COPIED_FILES = 4096
"""What is copied at most for one model."""


@dataclass(frozen=True, slots=True)
class StagedInputs:
    """Inputs in a directory of their own.

    Attributes:
      root: the directory; a file has the same path below it as below the directory that the action runs in.
      trees: path of a directory among the inputs to where its files really are.
    """

    root: Path
    trees: Mapping[str, Path]

    def at(self, path: Path) -> Path:
        """Where an input is, given its path in the action: a tree where it really is, and what is in one too."""
        for tree, real in self.trees.items():
            if path.is_relative_to(tree):
                return real / path.relative_to(tree)
        return self.root / path


def can_be_copied(files: Sequence[str]) -> bool:
    """Whether inputs are files, and few and small enough for a copy of all."""
    if len(files) > _COPIED_FILES:
        return False
    left = _COPIED_BYTES
    for file in files:
        try:
            status = Path(file).stat()
        except OSError:
            return False
        left -= status.st_size
        if not stat.S_ISREG(status.st_mode) or left < 0:
            return False
    return True


def stage(files: Iterable[str], trees: Mapping[str, Path], root: Path, *, copied: bool) -> StagedInputs:
    """Puts inputs into `root`, a directory that does not exist yet.

    Never by hard links: those would be the files themselves, which code could write to where it may write at all, and a
    link more changes what Bazel knows a file of a repository by.

    Args:
      files: paths of files, from the directory that the action runs in.
      trees: path of each directory that is an output of another action to where its files are.
      root: the directory.
      copied: the files are copied; otherwise there are links to them.
    """
    root.mkdir()
    made = {root}
    for file in files:
        place = root / file
        _parents(place, made)
        if copied:
            shutil.copy2(file, place)  # with its time, which its bytecode may name
        else:
            place.symlink_to(Path(file).resolve())
    for tree, found in trees.items():
        _parents(root / tree, made)
        (root / tree).symlink_to(found)
    return StagedInputs(root, trees)


def _parents(place: Path, made: set[Path]) -> None:
    if place.parent not in made:
        place.parent.mkdir(parents=True, exist_ok=True)
        made.add(place.parent)


def real_trees(trees: Iterable[str], known: Mapping[str, str]) -> dict[str, Path]:
    """Where the files of directories are that are outputs of other actions.

    Args:
      trees: their paths.
      known: paths of all inputs, those in trees by themselves; see `digests` of persistent_worker.py.
    """
    return {tree: _real(tree, known) for tree in trees}


def _real(tree: str, known: Mapping[str, str]) -> Path:
    """In a worker's sandbox the files are links, each to where its tree has it."""
    for path in known:
        if path.startswith(tree + "/"):
            file, inner = Path(path).resolve(), path[len(tree) :]
            if str(file).endswith(inner):
                return Path(str(file)[: -len(inner)])
            # Itself a link, to another file of the tree: the next tells.
    return Path(tree).resolve()

"""Packages models one after the other, and keeps what they import: what one of Bazel's persistent workers does.

A worker has no sandbox that keeps a model's code from the network and from files of the machine. It makes one for each
model: a directory with the inputs of its action (staged_inputs.py), and walls around the processes that run the code
(chassis/confinement).
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import hashlib
import itertools
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chassis.confinement.errors import ConfinementError, NoWallsError
from chassis.confinement.left_files import remove_left, scratch_directory
from chassis.image_interpreter import child_environment
from chassis.packaging.errors import PackagingError
from chassis.packaging.isolated import (
    KEPT,
    files_of_python,
    link_own_packages,
    worker_command,
    worker_environment,
)
from chassis.packaging.packager import Model, PackagedModel, package_model
from chassis.packaging.shared_imports import shareable_imports
from chassis.packaging.staged_inputs import StagedInputs, can_be_copied, real_trees, stage
from chassis.packaging.warm_process import NotWarmError, WarmProcess

_SANDBOXES = "bazel-workers"
"""The directory of Bazel's in which each worker with a sandbox has one, and the sandbox in that."""

_MOST = 2
"""Processes that are kept: each has the memory that its imports take."""

_MOST_REFUSED = 1000

_Imports = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class _Key:
    """What a process that is kept has imported, and from what."""

    interpreter: Path | None
    python: str
    imports: _Imports
    trees: tuple[tuple[Path, str], ...]


@dataclass(frozen=True, slots=True)
class Action:
    """One model to be packaged, its paths from this process's directory.

    Attributes:
      model: the model.
      files: the inputs that are files.
      trees: the inputs that are directories made by other actions.
      digests: path of each input, those in trees by themselves, to what tells its content from others.
      interpreter: see `package_model`, as the others.
      python: the image's version.
      timeout: seconds.
    """

    model: Model
    files: Sequence[str]
    trees: Sequence[str]
    digests: Mapping[str, str]
    interpreter: Path | None
    python: str
    timeout: float


class PicklingWorker:
    """What stays between one model and the next: processes that have run no model's code."""

    def __init__(self, shared: Sequence[Path]) -> None:
        """`shared`: what code may read of the machine."""
        self._shared = shared
        self._directory = Path.cwd()
        # Not beside the outputs, which Bazel may remove, nor in the system's directory, which may be small.
        # Nor in a worker's sandbox or around it, where Bazel removes what it does not know before each action.
        sandboxed = self._directory.parent.parent.name == _SANDBOXES
        parent = self._directory.parent.parent if sandboxed else self._directory / "bazel-out"
        self._place = parent / f"chassis-pickling-{os.getpid()}"
        self._kept: dict[_Key, WarmProcess] = {}
        self._refused: dict[_Key, None] = {}
        self._numbers = itertools.count()
        atexit.register(self.stop)

    def package(self, action: Action) -> PackagedModel:
        """The files of the model's directory.

        Raises:
          PackagingError: what is wrong with the model.
        """
        self._place.mkdir(parents=True, exist_ok=True)
        trees = real_trees(action.trees, action.digests)
        try:
            return self._warm(action, trees) or self._cold(action, trees)
        finally:
            if not self._kept:  # a process that is kept has it removed whatever becomes of this one
                remove_left(self._place)

    def stop(self) -> None:
        """Ends the processes that are kept, and removes what was written."""
        self._end_kept()
        remove_left(self._place)

    def _end_kept(self) -> None:
        while self._kept:
            self._kept.popitem()[1].stop()

    def _warm(self, action: Action, trees: Mapping[str, Path]) -> PackagedModel | None:
        """The model, if a process that is kept does for it, or one that can be. None if anything is wrong with it."""
        key = _key(action, trees)
        if key is None or key in self._refused:
            return None
        try:
            process = self._kept.pop(key, None) or self._start(key, action)
        except (NotWarmError, ConfinementError, OSError):
            self._refuse(key)
            return None
        try:
            # Only now, after the imports: what wheels run then finds no model's files.
            with scratch_directory("model-", process.models) as scratch:
                inputs = stage(action.files, trees, scratch / "inputs", copied=True)
                packaged = self._package(action, inputs, scratch, process)
        except PackagingError:
            packaged = None  # said again by processes of its own, as anywhere else
        except (NotWarmError, ConfinementError, OSError):
            process.stop()
            self._refuse(key)
            return None
        self._kept[key] = process
        return packaged

    def _cold(self, action: Action, trees: Mapping[str, Path]) -> PackagedModel:
        self._end_kept()  # what runs confined code ends all that this process has started
        self._place.mkdir(parents=True, exist_ok=True)
        with scratch_directory("model-", self._place) as scratch:
            inputs = stage(action.files, trees, scratch / "inputs", copied=False)
            return self._package_alone(action, inputs, scratch)

    def _package_alone(self, action: Action, inputs: StagedInputs, scratch: Path) -> PackagedModel:
        with contextlib.chdir(inputs.root):
            try:
                return self._package(action, inputs, scratch, None)
            except NoWallsError as error:
                print(
                    f"note: {action.model.metadata.name}: its code is not confined on this machine: {error}\n"
                    "  `build --strategy=PickleModel=sandboxed` has Bazel do it, as far as it can",
                    file=sys.stderr,
                )
                return self._package(action, inputs, scratch, None, confined=False)

    def _package(
        self, action: Action, inputs: StagedInputs, scratch: Path, warm: WarmProcess | None, *, confined: bool = True
    ) -> PackagedModel:
        model = action.model
        staged = dataclasses.replace(
            model,
            pickle=model.pickle and inputs.at(model.pickle),
            sources={path: inputs.at(file) for path, file in model.sources.items()},
            data={key: inputs.at(file) for key, file in model.data.items()},
            import_paths=[inputs.at(path) for path in model.import_paths],
        )
        return package_model(
            staged,
            timeout=action.timeout,
            interpreter=action.interpreter and self._directory / action.interpreter,
            python=action.python,
            inputs=inputs.root if confined else None,
            shared=self._shared,
            scratch=scratch,
            warm=warm,
            private_paths=[self._directory, self._place],
        )

    def _start(self, key: _Key, action: Action) -> WarmProcess:
        while len(self._kept) >= _MOST:
            self._kept.pop(next(iter(self._kept))).stop()
        place = self._place / f"warm-{next(self._numbers)}"
        interpreter = str(self._directory / key.interpreter) if key.interpreter else sys.executable
        trees = [tree for tree, _ in key.trees]
        for name in ("data", "home", "site", "tmp"):
            (place / name).mkdir(parents=True)
        link_own_packages(place / "site", key.interpreter)
        environment = worker_environment(child_environment(key.interpreter, KEPT), place, trees)
        return WarmProcess(
            worker_command(interpreter, key.python, "chassis.packaging.warm_worker"),
            environment | {"TMPDIR": str(place / "tmp")},
            key.imports,
            (*files_of_python(interpreter, place / "site"), *trees, *self._shared, "/proc"),
            place,
            action.timeout,
        )

    def _refuse(self, key: _Key) -> None:
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()
        self._refused[key] = None


def _key(action: Action, real: Mapping[str, Path]) -> _Key | None:
    """Which process does for a model; None if none that is confined beforehand has what this one reads."""
    model = action.model
    paths = [str(path) for path in model.import_paths]
    if not set(action.trees) <= set(paths) or not can_be_copied(action.files):
        return None
    trees = tuple((real[path], _digest(path, action.digests)) for path in paths if path in real)
    if not all(digest for _, digest in trees):
        return None
    try:
        imports = shareable_imports(model.entry_point, model.package_dir, model.sources) if model.entry_point else []
    except (PackagingError, SyntaxError, ValueError, OSError):
        return None
    elsewhere = set(_importable(action.files, [path for path in paths if path not in real]))
    shared = itertools.takewhile(lambda each: each[0].partition(".")[0] not in elsewhere, imports)
    return _Key(action.interpreter, action.python, tuple(shared), trees)


def _digest(tree: str, digests: Mapping[str, str]) -> str:
    """Of what a tree holds; empty if that is not known."""
    inner = sorted(item for item in digests.items() if item[0].startswith(tree + "/"))
    if not inner or not all(digest for _, digest in inner):
        return ""
    return hashlib.sha256(repr(inner).encode()).hexdigest()


def _importable(files: Sequence[str], paths: Sequence[str]) -> Iterator[str]:
    """What may be imported from `paths` of what is among `files`, by the first part of its name."""
    for path in paths:
        start = "" if path == "." else path + "/"
        for file in files:
            if file.startswith(start):
                yield file[len(start) :].partition("/")[0].partition(".")[0]

"""A packed model written as a Bazel package, and as a workspace if it lies in none."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from chassis.errors import ChassisError
from chassis.packed_model.build_file import (
    BUILD_LOCK,
    LOCKS,
    build_file,
    locks_package,
    locks_target,
    module_file,
    pickle_place,
)
from chassis.packed_model.checkout import find_checkout
from chassis.packed_model.hub_contents import missing_from, read_hub
from chassis.packed_model.model import PICKLE, PackedModel, check_key

_WORKSPACE_FILES = ("MODULE.bazel", "REPO.bazel", "WORKSPACE", "WORKSPACE.bazel")
_MARK = "# Written by chassis: ChassisModel.save."


class SaveError(ChassisError):
    """A package that cannot be written."""


def save_package(model: PackedModel, path: Path, *, gpu: bool, arm64: bool | None, hub: str, overwrite: bool) -> Path:
    """Writes `model` into the directory `path`, whole or not at all; see `ChassisModel.save`.

    Raises:
      SaveError: something else is there, or a lock cannot be made.
    """
    path = path.absolute()
    _check_place(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    workspace = _workspace_above(path)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as directory:
        staged = Path(directory) / "package"
        staged.mkdir()
        if workspace:
            write_package(model, staged, platforms=(), hub=hub)
        else:
            platforms = _platforms(gpu, arm64)
            place = _write_workspace(model, staged, platforms, hub)
            write_package(model, staged, platforms=platforms, hub=hub, pickle_on=place)
            if model.requirements:
                with (staged / "BUILD.bazel").open("a", encoding="utf-8") as file:
                    file.write("\n" + locks_target())
        if path.exists():
            shutil.rmtree(path)
        staged.replace(path)
    if workspace:
        _say_what_is_missing(model, path, workspace, hub)
    return path


def _say_what_is_missing(model: PackedModel, path: Path, workspace: Path, hub: str) -> None:
    """Tells what the workspace's hub lacks for the model, before a build does."""
    contents = read_hub(workspace, hub)
    lines = missing_from(contents, model.requirements) if contents else []
    if contents and lines:
        print("\n  ".join([f"{path}: it cannot be built as it is", *lines]), file=sys.stderr)
        print(
            f"  add it to the requirements that {', '.join(contents.locks)} are made from, and run: {contents.renew}",
            file=sys.stderr,
        )


def write_package(
    model: PackedModel, directory: Path, *, platforms: tuple[str, ...], hub: str, pickle_on: str = "exec"
) -> None:
    """Writes pickle, files, requirements and BUILD.bazel of `model` into `directory`."""
    if isinstance(model.pickle, bytes):
        (directory / PICKLE).write_bytes(model.pickle)
    else:
        shutil.copyfile(model.pickle, directory / PICKLE)
    for key, file in model.files.items():
        target = directory / check_key(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    lines = [_MARK, *model.requirements]
    (directory / "requirements.in").write_text("".join(f"{line}\n" for line in lines))
    text = build_file(
        model.metadata,
        model.requirements,
        tuple(model.files),
        model.signature,
        hub,
        platforms,
        pickle_on=pickle_on,
        python=model.python,
    )
    (directory / "BUILD.bazel").write_text(f"{_MARK}\n\n{text}", encoding="utf-8")


def _write_workspace(model: PackedModel, directory: Path, platforms: tuple[str, ...], hub: str) -> str:
    """Writes what a workspace has beside the package; returns where the pickle is to be loaded."""
    try:
        from chassis.packed_model.locks import write_locks  # uv and packaging, which a package alone does not need
    except ModuleNotFoundError as error:
        raise SaveError(
            f"a workspace has locks of its wheels, and to make them the package {error.name} is missing\n"
            "  pip install uv packaging (the extra `local` of the SDK's wheel has both), or save into a Bazel workspace"
        ) from None

    locks = sorted({LOCKS[name] for name in platforms} | {BUILD_LOCK})
    (directory / "requirements.in").write_text("".join(f"{line}\n" for line in model.requirements))
    write_locks(directory, model.requirements, locks, python=model.python)
    if model.requirements:
        (directory / "requirements" / "BUILD.bazel").write_text(locks_package(locks, hub))
    module = module_file(locks, find_checkout(), hub, python=model.python)
    (directory / "MODULE.bazel").write_text(f"{_MARK}\n\n{module}")
    (directory / ".bazelrc").write_text(
        f"{_MARK}\nbuild --sandbox_default_allow_network=false\ncommon --lockfile_mode=off\n"
    )
    return pickle_place(platforms, (directory / "requirements" / f"{BUILD_LOCK}.txt").read_text())


def _platforms(gpu: bool, arm64: bool | None) -> tuple[str, ...]:
    architectures = {True: ("arm64",), False: ("amd64",), None: ("amd64", "arm64")}[arm64]
    return tuple(name for one in architectures for name in ([one, f"{one}_gpu"] if gpu else [one]))


def _check_place(path: Path, overwrite: bool) -> None:
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise SaveError(f"{path} is a file, expected a directory that is not there yet")
    if not path.is_dir() or not any(path.iterdir()):
        return
    build = path / "BUILD.bazel"
    ours = build.is_file() and build.read_text(errors="replace").startswith(_MARK)
    if not ours:
        raise SaveError(f"{path} holds something else than a saved model, give a directory of its own")
    if not overwrite:
        raise SaveError(f"{path} holds a saved model already: say overwrite=True, or give another directory")


def _workspace_above(path: Path) -> Path | None:
    return next(
        (above for above in path.parents if any((above / name).is_file() for name in _WORKSPACE_FILES)),
        None,
    )

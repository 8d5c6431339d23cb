"""What is to be written for a model in a directory: files that are missing, and lines that a workspace lacks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chassis.errors import ChassisError
from chassis.new_workspace.iris_onnx import iris_onnx
from chassis.new_workspace.module_file import (
    HUB,
    ModuleFile,
    dependency,
    free_hub_name,
    hub_statements,
    new_module_file,
    read_module_file,
    with_statements,
)
from chassis.new_workspace.origin import Origin
from chassis.new_workspace.settings_file import with_settings
from chassis.packed_model.build_file import locks_package
from chassis.whole_file import write_whole

LOCKS = ("linux_amd64", "linux_arm64")
PACKAGE = "model"
REQUIREMENTS = "requirements/requirements.in"
TEMPLATES = Path(__file__).parent / "templates"
_OWN = "\n# Below: for Chassis' own repository"
_FIRST = "python"
_IMAGE_PART = "\n# `bazel run` it as :image.serve"
"""Where a BUILD file has what any model has."""
_MODEL_PART = "model_part"
"""A BUILD file up to there, of a template that is not a package here: `bazel test //...` does without its images."""
_NOT_COPIED = ("BUILD.bazel", "requirements.in", _MODEL_PART)
_MADE: dict[str, dict[str, Callable[[], bytes]]] = {"onnx": {"iris.onnx": iris_onnx}}
"""Files of templates that are not text, with what makes them."""
_WORKSPACE = "workspace"
_WORKSPACE_FILES = ("MODULE.bazel", "REPO.bazel", "WORKSPACE.bazel", "WORKSPACE")
_BUILD_FILES = ("BUILD.bazel", "BUILD")


class PlanError(ChassisError):
    """The directory cannot have a model."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is to be written: `before` is None if there is none, `after` bytes if it is not text."""

    path: Path
    before: str | None
    after: str | bytes

    def shown(self, root: Path) -> str:
        """The difference, as `diff -u` has it."""
        name = str(self.path.relative_to(root))
        if isinstance(self.after, bytes):
            return f"--- /dev/null\n+++ b/{name}\n({len(self.after)} bytes)"
        lines = difflib.unified_diff(
            (self.before or "").splitlines(),
            self.after.splitlines(),
            "/dev/null" if self.before is None else f"a/{name}",
            f"b/{name}",
            lineterm="",
        )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Plan:
    """`changes` to `workspace` for the package in the directory `package`; `kept` files were there already.

    `hub` is that of the package's wheels, and `asks` whether somebody has to agree: something was there before.
    """

    workspace: Path
    package: Path
    changes: tuple[Change, ...]
    kept: tuple[Path, ...]
    hub: str
    requirements: tuple[str, ...]
    asks: bool

    @property
    def label(self) -> str:
        """The package, such as `//model`."""
        return "//" + self.package.relative_to(self.workspace).as_posix()


@dataclass(slots=True)
class _Draft:
    changes: list[Change] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)

    def new(self, path: Path, content: str | bytes) -> None:
        """A file that is to be there; what is there already stays."""
        if path.exists():
            self.kept.append(path)
        else:
            self.changes.append(Change(path, None, content))

    def edit(self, path: Path, after: Callable[[str], str]) -> None:
        before = path.read_text(encoding="utf-8") if path.exists() else None
        text = after(before or "")
        if text != before:
            self.changes.append(Change(path, before, text))


def frameworks() -> list[str]:
    """The names of the templates of models."""
    return sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir() and path.name != _WORKSPACE)


def plan(
    directory: Path,
    framework: str,
    origin_for: Callable[[Path], Origin],
    locks_of: Callable[[Sequence[str]], dict[str, str]] = lambda _: {},
) -> Plan:
    """What a model in `directory` needs; nothing is written.

    Args:
      directory: an empty one, a workspace, or a directory in one, which becomes the model's package.
      framework: one of `frameworks()`.
      origin_for: where Chassis comes from, for the MODULE.bazel of a workspace.
      locks_of: the locks of requirements, by their paths below the workspace; empty to leave them for later.

    Raises:
      ChassisError: the directory is of Chassis itself, or is a package of something else.
    """
    if directory.exists() and not directory.is_dir():
        raise PlanError(f"{directory} is a file: name a directory")
    above = workspace_above(directory)
    workspace = above or directory
    package = directory if above and above != directory else directory / PACKAGE
    template = TEMPLATES / framework
    requirements = tuple(_lines(template / "requirements.in"))
    draft = _Draft()
    module = _module(workspace, above is not None)
    hub = HUB if module is None else module.hub or free_hub_name(module)
    needs_hub = bool(requirements) and not (module and module.hub)
    _workspace_files(draft, workspace, module, lambda: origin_for(workspace), hub, needs_hub)
    if needs_hub:
        _requirements(draft, workspace, hub, requirements, locks_of)
    _package(draft, package, template, hub)
    asks = (directory.is_dir() and any(directory.iterdir())) or above is not None
    return Plan(workspace, package, tuple(draft.changes), tuple(draft.kept), hub, requirements, asks)


def write(changes: Iterable[Change]) -> None:
    """Writes the files of a plan, each whole.

    Raises:
      ChassisError: one cannot be written, or changed since the plan was made.
    """
    for change in changes:
        now = change.path.read_text(encoding="utf-8") if change.path.exists() else None
        if now != change.before:
            raise PlanError(f"{change.path} has changed meanwhile: run it again")
        try:
            change.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PlanError(f"{change.path.parent} cannot be made: {error.strerror}") from None
        write_whole(change.path, change.after if isinstance(change.after, bytes) else change.after.encode())


def workspace_above(directory: Path) -> Path | None:
    """The workspace that a directory is or lies in; None if there is none."""
    places = [directory, *directory.parents]
    return next((place for place in places if any((place / name).is_file() for name in _WORKSPACE_FILES)), None)


def _module(workspace: Path, there: bool) -> ModuleFile | None:
    file = workspace / "MODULE.bazel"
    if file.is_file():
        text = file.read_text(encoding="utf-8")
        if re.search(r'^module\(\s*name = "chassis"', text, re.MULTILINE):
            raise PlanError(f"{workspace} is Chassis' own repository: name a directory outside of it")
        return read_module_file(text, str(file))
    if there and any((workspace / name).is_file() for name in _WORKSPACE_FILES[2:]):
        raise PlanError(
            f"{workspace} is a workspace without MODULE.bazel, to which nothing can be added\n"
            "  README.md of Chassis says what a WORKSPACE needs"
        )
    return None


def _workspace_files(
    draft: _Draft,
    workspace: Path,
    module: ModuleFile | None,
    origin: Callable[[], Origin],
    hub: str,
    needs_hub: bool,
) -> None:
    locks = LOCKS if needs_hub else ()
    settings: tuple[str, ...] = ()
    if module is None:
        found = origin()
        settings = found.settings
        draft.new(workspace / "MODULE.bazel", new_module_file(_module_name(workspace), found, hub, locks))
        draft.new(workspace / ".gitignore", _text(TEMPLATES / _WORKSPACE / "gitignore"))
    else:
        statements = []
        if not module.depends:
            found = origin()
            settings = found.settings
            statements.append(dependency(found))
        if needs_hub:
            variable = "wheels" if "wheels" not in module.names else "chassis_wheels"
            statements.append(hub_statements(hub, locks, variable))
        draft.edit(workspace / "MODULE.bazel", lambda text: with_statements(text, statements))
    wanted = _text(TEMPLATES / _WORKSPACE / "bazelrc")
    draft.edit(workspace / ".bazelrc", lambda text: with_settings(text, wanted, settings))


def _requirements(
    draft: _Draft,
    workspace: Path,
    hub: str,
    requirements: tuple[str, ...],
    locks_of: Callable[[Sequence[str]], dict[str, str]],
) -> None:
    place = workspace / "requirements"
    if place.exists():
        raise PlanError(
            f"{place} is there, and MODULE.bazel has no hub of wheels\n"
            "  name its lock in a hub, and run this again:\n"
            '    wheels = use_extension("@chassis//rules:extensions.bzl", "wheels")\n'
            f'    wheels.hub(name = "{hub}", lock = "//requirements:…")\n'
            f'    use_repo(wheels, "{hub}")'
        )
    draft.new(workspace / REQUIREMENTS, "".join(f"{line}\n" for line in requirements))
    package = locks_package(LOCKS, hub).replace('"//:requirements.in"', '"requirements.in"')
    draft.new(place / "BUILD.bazel", package)
    if not any((workspace / name).exists() for name in _BUILD_FILES):
        text = '# `bazel run //:locks` renews the locks of wheels.\nalias(\n    name = "locks",\n'
        draft.new(workspace / "BUILD.bazel", text + '    actual = "//requirements:locks",\n)\n')
    for name, text in locks_of(requirements).items():
        draft.new(workspace / name, text)


def _package(draft: _Draft, package: Path, template: Path, hub: str) -> None:
    for name in _BUILD_FILES:
        file = package / name
        if file.is_file() and "chassis_image" not in file.read_text(encoding="utf-8", errors="replace"):
            raise PlanError(f"{file} is there, without an image: name a directory that is not yet a package")
    for path in sorted(template.rglob("*")):
        if not path.is_dir() and path.name not in _NOT_COPIED and "__pycache__" not in path.parts:
            draft.new(package / path.relative_to(template), _text(path))
    for name, content in _MADE.get(template.name, {}).items():
        draft.new(package / name, content())
    draft.new(package / "BUILD.bazel", build_file(template).replace(f'"@{HUB}//', f'"@{hub}//'))


def build_file(template: Path) -> str:
    """The BUILD file of a template: its own, or one of its model, with the image of any other."""
    own = template / "BUILD.bazel"
    if own.exists():
        return _text(own).partition(_OWN)[0].rstrip("\n") + "\n"
    model = _text(template / _MODEL_PART)
    (name,) = re.findall(r'chassis_model\(\n    name = "(\w+)"', model)
    _, start, image = build_file(template.parent / _FIRST).partition(_IMAGE_PART)
    image = re.sub(r"(chassis_image\(\n.*\n    model = ):?.*,\n", rf'\1":{name}",\n', image)
    return model + start + image


def _module_name(workspace: Path) -> str:
    """A module's name: lower case, a letter first."""
    name = re.sub(r"[^a-z0-9._-]+", "_", workspace.name.lower()).strip("._-")
    return name if re.fullmatch(r"[a-z]([a-z0-9._-]*[a-z0-9])?", name) and name != "chassis" else "models"


def _lines(path: Path) -> list[str]:
    return _text(path).split() if path.is_file() else []


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")

"""What a MODULE.bazel lacks for images of models, and what it says of hubs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chassis.errors import ChassisError
from chassis.new_workspace.origin import MODULE, Origin, calls, constant

_EXTENSION = 'use_extension("@chassis//rules:extensions.bzl", "wheels")'
HUB = "pypi"


class ModuleFileError(ChassisError):
    """A MODULE.bazel to which nothing can be added."""


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """What counts here of a MODULE.bazel: whether it has Chassis, its first hub of wheels or "", and its names."""

    depends: bool
    hub: str
    names: frozenset[str]


def read_module_file(text: str, where: str) -> ModuleFile:
    """Reads the text of a MODULE.bazel.

    Raises:
      ModuleFileError: it is not Starlark.
    """
    try:
        found = list(calls(text))
    except (SyntaxError, ValueError) as error:
        raise ModuleFileError(f"{where} cannot be read: {error}") from None
    depends = any(name == "bazel_dep" and constant(keywords.get("name")) == MODULE for name, keywords, _ in found)
    extension = "@chassis//rules:extensions.bzl"
    tags = {segment.partition("=")[0].strip() for _, _, segment in found if extension in segment}
    hubs = [constant(keywords.get("name")) for name, keywords, _ in found if name in {f"{tag}.hub" for tag in tags}]
    names = {segment.partition("=")[0].strip() for name, _, segment in found if name == "use_extension"}
    return ModuleFile(depends, hubs[0] if hubs else "", frozenset(names | _repositories(text)))


def _repositories(text: str) -> set[str]:
    """Every text in quotes: a name that is none of them is free."""
    return set(text.split('"')[1::2])


def free_hub_name(module: ModuleFile) -> str:
    """A name for a hub that the workspace has for nothing else."""
    return next(name for name in (HUB, "chassis_wheels", "model_wheels") if name not in module.names)


def new_module_file(name: str, origin: Origin, hub: str, locks: Sequence[str]) -> str:
    """The MODULE.bazel of a workspace with models; without `locks` it has no hub."""
    parts = [f'module(name = "{name}")', dependency(origin)]
    if locks:
        parts.append(hub_statements(hub, locks))
    return "\n\n".join(parts) + "\n"


def dependency(origin: Origin) -> str:
    """The statements that bring Chassis."""
    line = f'bazel_dep(name = "{MODULE}", version = "{origin.version}")'
    return f"{line}\n{origin.override}" if origin.override else line


def hub_statements(hub: str, locks: Sequence[str], variable: str = "wheels") -> str:
    """The statements that make a hub of the locks in `//requirements`."""
    lines = [f'        "//requirements:{lock}.txt": "{lock}",\n' for lock in sorted(locks)]
    return (
        f"{variable} = {_EXTENSION}\n{variable}.hub(\n"
        f'    name = "{hub}",\n    locks = {{\n{"".join(lines)}    }},\n)\nuse_repo({variable}, "{hub}")'
    )


def with_statements(text: str, statements: Sequence[str]) -> str:
    """The text of a MODULE.bazel with statements at its end."""
    return "\n\n".join([text.rstrip("\n"), *statements]) + "\n" if statements else text

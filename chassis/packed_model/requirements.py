"""The distributions that a predict function needs, pinned at the versions that are installed here."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from chassis.declaration.distribution_name import canonical_name
from chassis.errors import ChassisError

_IN_IMAGE = frozenset(
    {"chassis", "chassis.accelerator", "chassis.data", "chassis.errors", "chassis.runtime", "cloudpickle"}
)
"""What every image has."""

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?"
_EXTRAS = r"(?:\[[A-Za-z0-9._, -]{1,200}\])?"
_CLAUSE = r"(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9.!+*_-]{1,100}"
_REQUIREMENT = re.compile(rf"({_NAME})\s*{_EXTRAS}\s*(?:{_CLAUSE}(?:\s*,\s*{_CLAUSE})*)?")
_LONGEST = 500


class RequirementError(ChassisError, ValueError):
    """A requirement that cannot be understood, or that an image cannot have."""


@dataclass(frozen=True, slots=True)
class Detected:
    """What is known of a function's imports.

    Attributes:
      pins: `name==version` of each distribution, sorted.
      modules: pin to the modules that are imported from it, for people.
      local: modules that belong to no distribution: they are pickled with the function.
      missing: modules that the function would import and that are not installed here.
    """

    pins: tuple[str, ...]
    modules: Mapping[str, tuple[str, ...]]
    local: tuple[str, ...]
    missing: tuple[str, ...]

    def describe(self) -> str:
        """The pins with where they come from, a line each."""
        lines = [f"{pin}  # {', '.join(self.modules[pin])}" for pin in self.pins]
        lines += [f"# {module}: imported by the function, not installed here" for module in self.missing]
        return "\n".join(lines) or "# the function imports nothing that is to be installed"


def detect(modules: Iterable[str]) -> Detected:
    """Says which installed distributions the modules `modules` (full names) come from."""
    found: dict[str, set[str]] = {}
    local: set[str] = set()
    missing: set[str] = set()
    owners = importlib.metadata.packages_distributions()
    for module in sorted(modules):
        top = module.partition(".")[0]
        given = ".".join(module.split(".")[:2]) in _IN_IMAGE
        if top in sys.stdlib_module_names or given or top in ("__main__", "cloudpickle"):
            continue
        names = sorted({name for name in owners.get(top, ()) if top != "chassis" and _may_bring(name, module)})
        if not names:
            (local if _is_here(module) else missing).add(module)
            continue
        for name in names if len(names) == 1 else _owners_of(module, names):
            found.setdefault(_pin(name), set()).add(top if len(names) == 1 else module)
    return Detected(
        tuple(sorted(found, key=str.lower)),
        {pin: tuple(sorted(tops)) for pin, tops in found.items()},
        tuple(sorted(local)),
        tuple(sorted(missing)),
    )


def parse(line: str) -> tuple[str, str]:
    """Returns the normalised name and the text of a requirement such as `numpy>=2,<3` or `ray[serve]==2.1`.

    Raises:
      RequirementError: it is an option, a URL, a path, has a marker, or is not a requirement at all.
    """
    text = line.partition(" #")[0].strip()
    if len(text) > _LONGEST:
        raise RequirementError(f"a requirement of {len(text)} characters, expected at most {_LONGEST}: {text[:40]}…")
    if text.startswith("-"):
        raise RequirementError(f"requirement {text!r}: options have no place here, give the distribution alone")
    if "://" in text or "@" in text or text.startswith((".", "/")):
        raise RequirementError(
            f"requirement {text!r}: a URL or a path cannot be locked by its hash from the index; give name==version"
        )
    if ";" in text:
        raise RequirementError(f"requirement {text!r}: leave the marker out, each platform is resolved for itself")
    match = _REQUIREMENT.fullmatch(text)
    if not match:
        raise RequirementError(f"{text!r} is not a requirement, expected such as numpy==2.4.6 (PEP 508)")
    return canonical_name(match[1]), text


def merge(given: Sequence[str], detected: Sequence[str]) -> list[str]:
    """Returns requirements by name: those of `given`, and of `detected` what none of them names.

    Raises:
      RequirementError: one cannot be understood, or two of `given` are for one distribution and differ.
    """
    chosen: dict[str, str] = {}
    for line in given:
        if not line.strip() or line.strip().startswith("#"):
            continue
        name, text = parse(line)
        if chosen.setdefault(name, text) != text:
            raise RequirementError(f"requirements {chosen[name]!r} and {text!r} are both for {name}: give one")
    for line in detected:
        name, text = parse(line)
        chosen.setdefault(name, text)
    return [chosen[name] for name in sorted(chosen)]


def _pin(name: str) -> str:
    # A local version, such as 2.9.1+cpu, is of one build of one index: the release is what other platforms have.
    return f"{canonical_name(name)}=={importlib.metadata.version(name).partition('+')[0]}"


def _may_bring(name: str, module: str) -> bool:
    """Whether `module` comes from the distribution, and not from elsewhere under a name that both use (`tests`)."""
    root = Path(str(importlib.metadata.distribution(name).locate_file("")))
    file = getattr(sys.modules.get(module), "__file__", None)
    return (file is None or _is_below(Path(file), root)) and not _is_editable(name)


def _is_below(file: Path, root: Path) -> bool:
    """Whether `file` lies in `root`, as they are named or where links lead: both may be links, or be reached by one."""
    return file.is_relative_to(root) or file.resolve().is_relative_to(root.resolve())


def _is_editable(name: str) -> bool:
    """Whether the distribution is a source tree that was linked in, which no index has."""
    try:
        return bool(
            json.loads(importlib.metadata.distribution(name).read_text("direct_url.json") or "{}").get("dir_info")
        )
    except (importlib.metadata.PackageNotFoundError, ValueError, AttributeError):
        return False


def _is_here(module: str) -> bool:
    return module in sys.modules or module.partition(".")[0] in sys.modules


def _owners_of(module: str, names: Sequence[str]) -> list[str]:
    """Which of several distributions that share a namespace bring `module`; all if none is known to."""
    path = PurePosixPath(*module.split("."))
    while path.parts:
        bringing = [
            name
            for name in names
            for file in importlib.metadata.files(name) or ()
            if PurePosixPath(file) in (path.with_suffix(".py"), path / "__init__.py") or _is_extension(file, path)
        ]
        if bringing:
            return sorted(set(bringing))
        path = PurePosixPath(*path.parts[:-1])
    return list(names)


def _is_extension(file: PurePosixPath, path: PurePosixPath) -> bool:
    return file.parent == path.parent and file.suffix in (".so", ".pyd") and file.name.partition(".")[0] == path.name

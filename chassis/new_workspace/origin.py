"""Where a new workspace has Chassis from: what its MODULE.bazel says, and its `.bazelrc`."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chassis.errors import ChassisError

MODULE = "chassis"
_OVERRIDES = {"archive_override", "git_override", "local_path_override", "single_version_override"}
_REGISTRY = re.compile(r"^common\s+--registry[= ]\S+", re.MULTILINE)


class OriginError(ChassisError):
    """Where Chassis comes from cannot be told."""


@dataclass(frozen=True, slots=True)
class Origin:
    """`version` of Chassis, the `override` that says where it is, "" if a registry has it, and lines of `.bazelrc`."""

    version: str
    override: str
    settings: tuple[str, ...] = ()


def calls(text: str) -> Iterator[tuple[str, dict[str, ast.expr], str]]:
    """Function, keywords and text of each call at the top of a MODULE.bazel, which has Python's syntax.

    Raises:
      SyntaxError: it has not.
    """
    for node in ast.parse(text).body:
        call = node.value if isinstance(node, ast.Expr | ast.Assign) else None
        if isinstance(call, ast.Call):
            keywords = {word.arg: word.value for word in call.keywords if word.arg}
            yield ast.unparse(call.func), keywords, ast.get_source_segment(text, node) or ""


def constant(value: ast.expr | None) -> str:
    """The text that an argument is; "" if it is something else."""
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def origin_of(running: Path, workspace: Path) -> Origin:
    """Chassis as the workspace `running` has it, for the MODULE.bazel of `workspace`.

    Raises:
      OriginError: `running` does not say where it has Chassis from.
    """
    file = running / "MODULE.bazel"
    try:
        text = file.read_text(encoding="utf-8")
        found = list(calls(text))
    except (OSError, SyntaxError, ValueError) as error:
        raise OriginError(
            f"{file} cannot be read, so where Chassis comes from is not known: {error}\n  say it with --chassis"
        ) from None
    for function, keywords, _ in found:
        if function == "module" and constant(keywords.get("name")) == MODULE:
            return _checkout(running, constant(keywords.get("version")), workspace)
    version = _version(found)
    for function, keywords, segment in found:
        if function in _OVERRIDES and constant(keywords.get("module_name")) == MODULE:
            if function == "local_path_override":
                return _checkout(running / constant(keywords.get("path")), version, workspace)
            return Origin(version, segment)
    rc = running / ".bazelrc"
    lines = _REGISTRY.findall(rc.read_text(encoding="utf-8")) if rc.is_file() else []
    return Origin(version, "", tuple(lines))


def named_origin(text: str, version: str, workspace: Path, caller: Path) -> Origin:
    """Chassis from where `--chassis` says.

    Args:
      text: a checkout's directory, `ARCHIVE_URL#sha256-…`, `git+REMOTE#COMMIT` or `registry+URL`.
      version: the version of Chassis.
      workspace: whose MODULE.bazel is to say it.
      caller: what a directory is relative to.

    Raises:
      OriginError: it is none of these.
    """
    place, _, pinned = text.partition("#")
    if place.startswith("registry+"):
        url = place.removeprefix("registry+")
        return Origin(version, _override("single_version_override", registry=url))
    if place.startswith("git+"):
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", pinned):
            raise OriginError(f"--chassis={text}: expected a whole commit, git+https://git.example/chassis.git#COMMIT")
        return Origin(version, _override("git_override", commit=pinned, remote=place.removeprefix("git+")))
    if "://" in place:
        if not pinned.startswith("sha256-"):
            raise OriginError(
                f"--chassis={text}: expected the archive's digest in base64, {place}#sha256-…\n"
                f"  curl -sL {place} | openssl dgst -sha256 -binary | base64"
            )
        prefix = f"chassis-{version}"
        return Origin(version, _archive(place, pinned, prefix))
    return _checkout(caller / text, version, workspace)


def _version(found: list[tuple[str, dict[str, ast.expr], str]]) -> str:
    for function, keywords, _ in found:
        if function == "bazel_dep" and constant(keywords.get("name")) == MODULE:
            return constant(keywords.get("version"))
    return ""


def _checkout(directory: Path, version: str, workspace: Path) -> Origin:
    directory = Path(os.path.normpath(directory))
    if not (directory / "rules" / "defs.bzl").is_file():
        raise OriginError(f"{directory} is not a checkout of Chassis: it has no rules/defs.bzl")
    above = Path(os.path.commonpath([directory, workspace]))
    path = os.path.relpath(directory, workspace) if above != Path("/") else str(directory)
    return Origin(version, _override("local_path_override", path=path))


def _override(function: str, **arguments: str) -> str:
    lines = [f'    {name} = "{value}",\n' for name, value in {"module_name": MODULE, **arguments}.items()]
    return f"{function}(\n{''.join(lines)})"


def _archive(url: str, integrity: str, prefix: str) -> str:
    return (
        f'archive_override(\n    module_name = "{MODULE}",\n    integrity = "{integrity}",\n'
        f'    strip_prefix = "{prefix}",\n    urls = ["{url}"],\n)'
    )

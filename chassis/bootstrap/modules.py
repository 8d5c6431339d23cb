"""The Bazel modules that come with Debian's packages, and the bazelrc that puts them in the registry's place.

Without the central registry a module is found through `--override_module=NAME=DIRECTORY`, and Bazel refuses
an override of a module that is not in the graph. So the graph is followed from the workspace's own
MODULE.bazel: what a package holds is overridden with it, what only packaged modules ask for and nobody here
loads becomes an empty stub.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from chassis.bootstrap.workspace_mode import Mode

BUILTIN = {"bazel_tools", "local_config_platform"}
"""Modules that Bazel itself brings."""


class ModuleFile(NamedTuple):
    """What a MODULE.bazel says that matters here: its name, whom it needs, and what lies beside it.

    `dependencies` excludes, `development` holds those with `dev_dependency = True`, which count for the root
    only.
    """

    name: str
    dependencies: tuple[str, ...]
    development: tuple[str, ...]
    local_overrides: dict[str, str]


class Graph(NamedTuple):
    """`overrides` maps a module to its directory; `stubs` are the modules to leave empty; `files` is what was
    read.
    """

    overrides: dict[str, Path]
    stubs: tuple[str, ...]
    files: tuple[Path, ...]


def read_module(path: Path) -> ModuleFile:
    """Reads a MODULE.bazel, which is Starlark without control flow and so has Python's syntax.

    A file that does not parse counts as empty: Bazel itself says better what is wrong with it.
    """
    name, dependencies, development, local_overrides = "", [], [], {}
    for function, arguments in _calls(path):
        if function == "module":
            name = arguments.get("name") or ""
        elif function == "bazel_dep" and arguments.get("name"):
            (development if arguments.get("dev_dependency") else dependencies).append(arguments["name"])
        elif function == "local_path_override" and arguments.get("module_name"):
            local_overrides[arguments["module_name"]] = arguments.get("path") or ""
    return ModuleFile(name, tuple(dependencies), tuple(development), local_overrides)


def _calls(path: Path) -> Iterator[tuple[str, dict]]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    values: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            values |= {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}
        call = node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            yield call.func.id, dict(_arguments(call, values))


def _arguments(call: ast.Call, values: dict[str, object]) -> Iterator[tuple[str, Any]]:
    """The keywords whose values are written out, or the name of one that is."""
    for word in call.keywords:
        if word.arg and isinstance(word.value, ast.Constant):
            yield word.arg, word.value.value
        elif word.arg and isinstance(word.value, ast.Name) and word.value.id in values:
            yield word.arg, values[word.value.id]


def find_packaged(directory: Path) -> dict[str, Path]:
    """The modules below the install base `directory`, by name."""
    found = {}
    for pattern in ("rules/*/MODULE.bazel", "tools/*/MODULE.bazel"):
        for path in sorted(directory.glob(pattern)):
            name = read_module(path).name
            if name:
                found[name] = path.parent
    return found


def follow(workspace: Path, packaged: dict[str, Path], bazel_tools: Path) -> Graph:
    """The modules that the workspace's graph holds, as far as they are known here.

    A module that neither a package nor a local override has, and that the workspace itself asks for, is left
    to Bazel: a flag of the user's or a registry may have it.
    """
    overrides: dict[str, Path] = {}
    stubs: set[str] = set()
    root_file = workspace / "MODULE.bazel"
    root = read_module(root_file)
    files = [root_file]
    local = {name: (workspace / path) for name, path in root.local_overrides.items()}
    pending = [(name, False) for name in root.dependencies + root.development]
    pending += [(name, True) for name in read_module(bazel_tools / "MODULE.bazel").dependencies]
    seen = {root.name} | BUILTIN
    while pending:
        name, asked_by_package = pending.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if name in local:
            files.append(local[name] / "MODULE.bazel")
            pending += [(needed, False) for needed in read_module(local[name] / "MODULE.bazel").dependencies]
        elif name in packaged:
            overrides[name] = packaged[name]
            pending += [(needed, True) for needed in read_module(packaged[name] / "MODULE.bazel").dependencies]
        elif asked_by_package:
            stubs.add(name)
    return Graph(overrides, tuple(sorted(stubs)), tuple(files))


def bazelrc(graph: Graph, packaged: dict[str, Path], stubs: Path, hermetic_tmp: bool, mode: Mode) -> str:
    """The settings that `bazelw` adds to a workspace's own: where each module lies, in both modes.

    `stubs` is the directory that holds one empty module a stub. Without `hermetic_tmp` sandboxes see the
    machine's /tmp, for modules that lie below it. `mode` is what the workspace chose: it stays.
    """
    lines = ["# Written by bazelw; read after the workspace's .bazelrc."]
    lines += ["common --noenable_workspace"] if mode.workspace is None and not mode.is_workspace else []
    places = {**graph.overrides, **{name: stubs / name for name in graph.stubs}}
    lines += [f'common "--override_module={name}={places[name]}"' for name in sorted(places)]
    everything = {**packaged, **{name: stubs / name for name in graph.stubs}}
    everything.setdefault("rules_java_builtin", packaged.get("rules_java", stubs / "rules_java"))
    repositories = "common" if mode.is_workspace else "common:workspace"
    lines += [f'{repositories} "--override_repository={name}={everything[name]}"' for name in sorted(everything)]
    if not hermetic_tmp:
        lines.append("common --noincompatible_sandbox_hermetic_tmp")
    return "\n".join(lines) + "\n"


def write_stubs(graph: Graph, directory: Path) -> None:
    """Makes the empty modules that the graph needs, below `directory`, which other builds may be reading."""
    for name in graph.stubs:
        stub = directory / name
        stub.mkdir(parents=True, exist_ok=True)
        _write_whole(stub / "MODULE.bazel", f'module(name = "{name}")\n')
        _write_whole(stub / "WORKSPACE", f'workspace(name = "{name}")\n')
        _write_whole(stub / "BUILD.bazel", "")


def _write_whole(path: Path, text: str) -> None:
    """Writes a file in one step, and only if it is not there with this text already."""
    if path.exists() and path.read_text() == text:
        return
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    temporary.write_text(text)
    temporary.replace(path)

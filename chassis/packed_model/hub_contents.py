"""What a workspace's wheel hub has, as far as its MODULE.bazel and its locks say it, and what it lacks for a model.

Nothing is built or fetched: this is for telling people before a build does. What cannot be read is not judged.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chassis.declaration.distribution_name import canonical_name
from chassis.declaration.import_names import IMPORT_NAMES
from chassis.packed_model.requirements import parse

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?\s*([^\s;\\]+)", re.MULTILINE)
_RENEW = re.compile(r"^# Renew with: (.+)$", re.MULTILINE)
_DEFAULT_RENEW = "bazel run //:locks"


@dataclass(frozen=True, slots=True)
class HubContents:
    """A hub: `versions` of each distribution in any of its `locks`, and the command that renews them."""

    name: str
    locks: tuple[str, ...]
    versions: Mapping[str, frozenset[str]]
    renew: str


def read_hub(workspace: Path, name: str) -> HubContents | None:
    """The hub `name` of the workspace; None if MODULE.bazel does not make it, or if none of its locks can be read."""
    labels = _lock_labels(workspace, name)
    versions: dict[str, set[str]] = {}
    found, renew = [], ""
    for label in labels:
        path = workspace / label.removeprefix("//").replace(":", "/").lstrip("/")
        try:
            text = path.read_text(encoding="utf-8-sig")
            pins = list(_pins(path.name, text))
        except (OSError, ValueError, ModuleNotFoundError):
            continue
        found.append(label)
        for distribution, version in pins:
            versions.setdefault(canonical_name(distribution), set()).add(version)
        match = _RENEW.search(text)
        renew = renew or (match[1].strip() if match else "uv lock" if path.name == "uv.lock" else "")
    if not found:
        return None
    frozen = {distribution: frozenset(known) for distribution, known in versions.items()}
    return HubContents(name, tuple(found), frozen, renew or _DEFAULT_RENEW)


def _lock_labels(workspace: Path, name: str) -> list[str]:
    """The labels of the locks that `….hub(name = "NAME", …)` in MODULE.bazel names; only those of the workspace."""
    try:
        tree = ast.parse((workspace / "MODULE.bazel").read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return []
    labels: list[str] = []
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "hub"):
            continue
        given = {word.arg: word.value for word in node.keywords if word.arg}
        if _text(given.get("name")) != name:
            continue
        locks = given.get("locks")
        labels += [_text(key) for key in locks.keys if key] if isinstance(locks, ast.Dict) else []
        sets = given.get("sets")
        labels += [_text(value) for value in sets.values] if isinstance(sets, ast.Dict) else []
        labels.append(_text(given.get("lock")))
    return [label for label in labels if label.startswith("//")]


def _text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _pins(file: str, text: str) -> Iterator[tuple[str, str]]:
    if file.endswith((".toml", ".lock")):
        import tomllib  # Python 3.10 has none, and reads no such lock

        document = tomllib.loads(text)
        for package in [*document.get("package", []), *document.get("packages", [])]:
            yield package["name"], package.get("version", "")
    else:
        yield from _PIN.findall(text)


def missing_from(hub: HubContents, requirements: Sequence[str]) -> list[str]:
    """A line for each requirement that the hub lacks, or has in other versions only than the requirement pins."""
    lines = []
    for line in requirements:
        name, text = parse(line)
        if name not in hub.versions:
            lines.append(f"@{hub.name} has no {name}{_instead(hub, name)}")
            continue
        pinned = re.fullmatch(r"[^=<>!~]*==\s*([^,*]+)", text)
        if pinned and pinned[1].strip() not in {version.partition("+")[0] for version in hub.versions[name]}:
            has = ", ".join(sorted(hub.versions[name]))
            lines.append(f"the model was made with {name} {pinned[1].strip()}, @{hub.name} has {has}")
    return lines


def _instead(hub: HubContents, name: str) -> str:
    """The distributions that may be meant."""
    imports = {canonical_name(imported): names for imported, names in IMPORT_NAMES.items()}
    brought = imports.get(name, [])
    if here := [distribution for distribution in brought if distribution in hub.versions]:
        return f": that is the name of an import, and its distribution is {' or '.join(here)}"
    if brought:
        return f": that is the name of an import, and its distribution is {' or '.join(brought)}"
    near = difflib.get_close_matches(name, hub.versions, n=3, cutoff=0.7)
    return f"; the nearest names in it: {', '.join(near)}" if near else ""

"""Whether a wheel lock is what its requirements would give: without asking an index, from what the lock records.

A lock's header has a digest of the requirements that it was made from, with what they include, but for comments and
blank lines. A lock that takes its versions from another has to agree with it.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator
from pathlib import Path

from chassis.errors import ChassisError
from chassis.locking.wheel_lock import MADE_FROM, LockPlan, pins

_INCLUDES = ("-r", "--requirement", "-c", "--constraint")


def made_from(plan: LockPlan, workspace: Path) -> str:
    """The digest of what the lock of `plan` is made from, `sha256:…`.

    Raises `ChassisError` if a requirements file is missing.
    """
    digest = hashlib.sha256()
    facts = [plan.target.uv_platform, plan.target.python_version, *sorted(plan.sdists), str(plan.dependencies)]
    lines = [line for name in plan.inputs for line in _lines(name, workspace, name, set())]
    for line in [*facts, *lines]:
        digest.update(line.encode() + b"\n")
    return f"sha256:{digest.hexdigest()}"


def _lines(name: str, workspace: Path, asked_by: str, seen: set[str]) -> Iterator[str]:
    """The requirements of a file and of those that it includes, each as one line."""
    if name in seen:
        return
    seen.add(name)
    try:
        text = (workspace / name).read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = "" if name == asked_by else f", which {asked_by} includes (name it in `includes` of wheel_locks)"
        raise ChassisError(f"there is no {name}{reason}") from error
    for line in text.replace("\\\n", " ").splitlines():
        line = " ".join(line.split())
        if line.startswith("#") or not line:
            continue
        line = line.partition(" #")[0].strip()
        option, _, value = line.replace("=", " ", 1).partition(" ")
        if option in _INCLUDES and value:
            included = posixpath.normpath(posixpath.join(posixpath.dirname(name), value.strip()))
            yield from _lines(included, workspace, name, seen)
        else:
            yield line


def why_stale(plan: LockPlan, workspace: Path) -> str | None:
    """Why the lock of `plan` is to be renewed; None if it is current."""
    output = workspace / plan.output
    if not output.is_file():
        return f"{plan.output} does not exist yet"
    text = output.read_text(encoding="utf-8")
    if any(line.startswith(("<<<<<<<", ">>>>>>>")) for line in text.splitlines()):
        return f"{plan.output} has conflict marks: the merge is not finished"
    recorded = next((line.removeprefix(MADE_FROM) for line in text.splitlines() if line.startswith(MADE_FROM)), None)
    if recorded is None:
        return f"{plan.output} does not say which requirements it was made from"
    if recorded != made_from(plan, workspace):
        return f"{plan.output} was made from other requirements than {', '.join(plan.inputs)} has now"
    if plan.same_versions_as:
        other = (
            pins((workspace / plan.same_versions_as).read_text())
            if (workspace / plan.same_versions_as).is_file()
            else {}
        )
        for name, version in pins(text).items():
            if other.get(name, version) != version:
                return f"{plan.output} has {name} {version}, and {plan.same_versions_as} has {other[name]}"
    return None

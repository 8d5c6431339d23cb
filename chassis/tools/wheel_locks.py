"""Makes and renews the wheel locks of a `wheel_locks` target, with uv; with --check says whether they are current.

Versions that are pinned stay, unless `--upgrade` or `--upgrade_package` says otherwise. The locks of the platforms hold
the same versions of what they share. The index is the one that pip, or uv, is configured with.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from chassis.locking.staleness import made_from, why_stale
from chassis.locking.target import LockTarget
from chassis.locking.uv import Uv, find_uv
from chassis.locking.wheel_lock import LockPlan, renew

_UPGRADE = flags.DEFINE_bool("upgrade", False, "Take the newest versions that the requirements allow.")
_UPGRADE_PACKAGE = flags.DEFINE_multi_string(
    "upgrade_package", [], "Take the newest version of this distribution only."
)
_ONLY = flags.DEFINE_multi_string("only", [], "Renew only this lock, such as linux_arm64.")
_UV = flags.DEFINE_string("uv", None, "The uv program; by default that of the Python package uv.")
_CHECK = flags.DEFINE_bool("check", False, "Write nothing: fail if a lock is not what its requirements ask for.")
_PLAN = flags.DEFINE_multi_string("plan", [], "A lock to make, as JSON: what the wheel_locks target says.")
_TARGET = flags.DEFINE_string("target", None, "The label of the wheel_locks target, for what people read.")


def plans(texts: Sequence[str]) -> list[LockPlan]:
    """The locks that `--plan` describes; one that takes versions from another comes after it."""
    found = []
    for text in texts:
        plan = json.loads(text)
        major, minor = plan["python"].split(".")[:2]
        target = LockTarget(plan["machine"], (int(major), int(minor)))
        found.append(
            LockPlan(
                plan["output"],
                tuple(plan["inputs"]),
                target,
                plan.get("same_versions_as"),
                tuple(plan.get("sdists", ())),
                plan.get("dependencies", True),
            )
        )
    return found


def _wanted(known: Sequence[LockPlan]) -> list[LockPlan]:
    names = {name.removesuffix(".txt") for name in _ONLY.value}
    found = [plan for plan in known if not names or {Path(plan.output).stem, plan.output.removesuffix(".txt")} & names]
    unknown = names - {name for plan in found for name in (Path(plan.output).stem, plan.output.removesuffix(".txt"))}
    if unknown:
        there_are = ", ".join(Path(plan.output).stem for plan in known)
        raise ChassisError(f"--only={sorted(unknown)[0]} is not a lock of {_TARGET.value}: there are {there_are}")
    return found


def _check(known: Sequence[LockPlan], workspace: Path, command: str) -> int:
    stale = [reason for plan in known if (reason := why_stale(plan, workspace))]
    if stale:
        raise ChassisError("\n  ".join([*stale, f"renew with: {command}"]))
    print(f"{len(known)} locks are current")
    return 0


def main(argv: Sequence[str]) -> int:
    """Writes the locks and prints a line for each."""
    del argv
    command = f"bazel run {_TARGET.value}"
    known = _wanted(plans(_PLAN.value))
    if _CHECK.value:
        return _check(known, Path(), command)
    workspace = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", ".")).absolute()
    uv = Uv(Path(_UV.value) if _UV.value else find_uv(), os.environ)
    for plan in known:
        locked = renew(
            plan,
            workspace,
            uv,
            command,
            _UPGRADE.value,
            _UPGRADE_PACKAGE.value,
            made_from(plan, workspace),
        )
        megabytes = sum(item.wheel.size for item in locked) / 1e6
        print(f"{plan.output}: {len(locked)} wheels, {megabytes:.1f} MB", flush=True)
    return 0


if __name__ == "__main__":
    run_main(main)

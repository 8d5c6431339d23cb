"""A wheel lock: pip's requirements format, each requirement pinned to the one wheel that its platform
installs.

    # numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl
    numpy==2.4.6 --hash=sha256:…
        # via -r requirements/model.in

A distribution that is to be built from its sdist (`cross_build` of the hub) has the sdist's name there instead.
No index is named: the file name and the hash say which file it is, wherever it comes from.
https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from chassis.errors import ChassisError
from chassis.locking.sdist_metadata import SdistMetadata, fetch_metadata, metadata_settings
from chassis.locking.target import LockTarget
from chassis.locking.uv import Uv, WheelFile, read_pylock, read_sdists
from chassis.whole_file import write_whole

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[(?P<extras>[^\]]*)\])?==(?P<version>[^\s;\\]+)")

# What the header says before the digest of the requirements that the lock was made from.
MADE_FROM = "# Requirements: "

# Each learns what a release requires, which may ask for another release.
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class LockPlan:
    """One lock to make: from the requirements files `inputs`, for `target`, into `output`.

    Paths are relative to the workspace. The versions of the lock `same_versions_as` are taken for what both
    hold, if that lock exists yet. Without `dependencies` the lock has the requirements alone, for wheels that only
    files are taken from.
    """

    output: str
    inputs: tuple[str, ...]
    target: LockTarget
    same_versions_as: str | None = None
    sdists: tuple[str, ...] = ()
    dependencies: bool = True


@dataclass(frozen=True, slots=True)
class LockedWheel:
    """A requirement of a lock, with the comment lines (`via …`) that say who asks for it."""

    name: str
    version: str
    wheel: WheelFile
    comments: tuple[str, ...]
    extras: tuple[str, ...] = ()


def renew(
    plan: LockPlan,
    workspace: Path,
    uv: Uv,
    command: str,
    upgrade: bool = False,
    upgraded: Collection[str] = (),
    made_from: str = "",
) -> list[LockedWheel]:
    """Writes the lock of `plan`, whole or not at all, and returns what it holds.

    Without `upgrade` the versions that it pins already are kept if the requirements still allow them, but for
    those of the distributions `upgraded`. `command` is what the header tells the reader to renew it with,
    `made_from` what it records of its requirements. Raises `ChassisError`.
    """
    output = workspace / plan.output
    with tempfile.TemporaryDirectory(prefix="chassis-lock-") as name:
        directory = Path(name)
        resolved, files = directory / "resolved.txt", directory / "pylock.toml"
        if output.is_file() and not upgrade:
            resolved.write_text(_pin_lines(output, {canonicalize_name(name) for name in upgraded}))
        sdists = [option for name in plan.sdists for option in ("--no-binary", name)]
        options = list(sdists)
        if plan.same_versions_as:
            constraints = directory / "constraints.txt"
            constraints.write_text(_pin_lines(workspace / plan.same_versions_as))
            options += ["--constraint", str(constraints)]
        if not plan.dependencies:
            options.append("--no-deps")
        known: dict[str, SdistMetadata] = {}
        for _ in range(_ROUNDS):
            (directory / "uv.toml").write_text(metadata_settings(known, plan.sdists))
            settings = directory if plan.sdists else None
            uv.compile(plan.inputs, plan.target, workspace, resolved, options, settings)
            uv.compile([str(resolved)], plan.target, workspace, files, ["--no-deps", *sdists], settings)
            new = {f"{sdist.name}=={sdist.version}": sdist for sdist in read_sdists(files) if sdist.name in plan.sdists}
            new = {release: sdist for release, sdist in new.items() if release not in known}
            if not new:
                break
            known |= {release: fetch_metadata(sdist, uv.environment, uv.check) for release, sdist in new.items()}
        else:
            raise ChassisError(
                f"what {', '.join(plan.sdists)} require leads to other releases of them, {_ROUNDS} times over: pin them"
            )
        locked = narrow(resolved.read_text(), read_pylock(files), plan.target, plan.sdists)
        output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(output, format_lock(locked, plan, command, made_from).encode())
    return locked


def narrow(
    resolved: str,
    releases: Mapping[str, Sequence[WheelFile]],
    target: LockTarget,
    sdists: Sequence[str] = (),
) -> list[LockedWheel]:
    """The best wheel for `target` of each requirement in uv's output `resolved`, whose hashes must hold it.

    Of the distributions `sdists` it is the sdist. Raises `ChassisError` that names the requirement if no wheel
    fits, or if its hash is not among uv's.
    """
    locked = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", resolved.strip()):
        match = _PIN.match(block)
        if not match:
            raise ChassisError(f"uv's output holds a requirement that is not pinned: {block.splitlines()[:1]}")
        release = f"{match['name']}=={match['version']}"
        wheel = _choose(release, releases.get(release, []), target, match["name"] in sdists)
        if f"--hash=sha256:{wheel.sha256}" not in block:
            raise ChassisError(f"{release}: the index gave two answers about {wheel.filename}; try again")
        extras = tuple(extra.strip() for extra in (match["extras"] or "").split(",") if extra.strip())
        locked.append(LockedWheel(match["name"], match["version"], wheel, _comments(block), extras))
    return locked


def _choose(release: str, files: Sequence[WheelFile], target: LockTarget, sdist: bool) -> WheelFile:
    wheels = {file.filename: file for file in files if file.filename.endswith(".whl")}
    others = [file for file in files if file.filename not in wheels]
    if sdist:
        if not others:
            raise ChassisError(f"{release} is to be built, and the index has no sdist of it")
        return others[0]
    try:
        return wheels[target.best(list(wheels))]
    except ChassisError as error:
        raise ChassisError(f"{release} has no wheel for the lock: {error}") from error


def format_lock(locked: Sequence[LockedWheel], plan: LockPlan, command: str, made_from: str = "") -> str:
    """The text of the lock, by name. `made_from` is what staleness.py compares."""
    target = plan.target
    lines = [
        f"# Wheels for CPython {target.python_version}, Linux, {target.machine}, glibc 2.{target.glibc_minor}.",
        f"# Renew with: {command}",
        *([f"{MADE_FROM}{made_from}"] if made_from else []),
        "",
    ]
    for item in sorted(locked, key=lambda item: item.name):
        lines.append(f"# {item.wheel.filename}")
        extras = f"[{','.join(item.extras)}]" if item.extras else ""
        lines.append(f"{item.name}{extras}=={item.version} --hash=sha256:{item.wheel.sha256}")
        lines += [f"    # {comment}" for comment in item.comments]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _comments(block: str) -> tuple[str, ...]:
    """uv's `via` in one line, without the constraints file, which is ours."""
    words = [line.strip().lstrip("#").strip() for line in block.splitlines() if line.strip().startswith("#")]
    sources = [word.removeprefix("via").strip() for word in words]
    sources = [source for source in sources if source and not source.startswith("-c ")]
    return ("via " + ", ".join(sources),) if sources else ()


def pins(lock: str) -> dict[str, str]:
    """The version of each distribution in the text of a lock, whatever else is in it: the first, if there are several.

    That is what a lock with the conflict marks of a merge has, and renewing it is how the merge is finished.
    """
    found: dict[str, str] = {}
    for line in lock.splitlines():
        if match := _PIN.match(line):
            found.setdefault(canonicalize_name(match["name"]), match["version"])
    return found


def _pin_lines(path: Path, but: Collection[str] = ()) -> str:
    if not path.is_file():
        return ""
    return "".join(f"{name}=={version}\n" for name, version in pins(path.read_text()).items() if name not in but)

"""From sources to a wheel for the target: one call of a build backend in a prepared environment, then a check."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from chassis.confinement.left_files import is_plain, read_regular
from chassis.cross.build_files import write_build_files
from chassis.cross.failure import explain, last_lines
from chassis.cross.isolation import Start, View
from chassis.cross.python_target import SYSCONFIG_MODULE, PythonTarget
from chassis.cross.source import SOURCE_EPOCH_S, BuildSystem
from chassis.cross.target import CrossTarget
from chassis.errors import ChassisError

_TIMEOUT_S = 3600
# Of what a build prints; the rest would be the first lines of a runaway one.
_KEPT_BYTES = 4 << 20
# A program of the build's own, by its path.
_NOT_FOUND = re.compile(r"No such file or directory: '\.{0,2}/|sh: (?:\d+: )?\.{0,2}/\S+: not found")
# Imported while the backend works: what reads wheels and ELF files takes as long to import as a tenth of a small build.
_CHECKS = "chassis.cross.wheel_archive"


@dataclass(frozen=True, slots=True)
class BuildTools:
    """What a build runs with: zig, the target's runtime, the directory of cc, Python, its root, headers and hook.py."""

    zig: Path
    runtime: Path
    drivers: Path
    python: Path
    python_root: Path
    headers: Path
    hook: Path


@dataclass(frozen=True, slots=True)
class CcLibraries:
    """C libraries of the workspace, compiled for the target: include directories and archives."""

    includes: tuple[Path, ...] = ()
    archives: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class WheelOrder:
    """What to build: `label` is for errors; `version` may be "" for sources of the workspace."""

    label: str
    distribution: str
    version: str
    target: CrossTarget
    site_packages: tuple[Path, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    config_settings: Mapping[str, str] = field(default_factory=dict)
    libraries: CcLibraries = CcLibraries()


def build_wheel(
    order: WheelOrder, source: Path, system: BuildSystem, tools: BuildTools, view: View, work: Path, scratch: Path
) -> Path:
    """Builds `source`, which lies below `work`, and returns the checked wheel, in `work` under its own name.

    `scratch` is an empty directory beside `work`.

    Raises:
      ChassisError: a build requirement is missing, the backend failed, or what it made is not for the target.
    """
    _check_requirements(order, system)
    seen = _Seen.mount(order, tools, view, work)
    headers = PythonTarget(order.target, seen.headers)
    bin_directory = work / "bin"
    _write_programs(bin_directory, order, seen)
    headers.write_overlay(work / "overlay", seen.work / "bin")
    flags = " ".join([headers.cflags(), *(f"-I{path}" for path in seen.includes)])
    write_build_files(work / "files", order.target, seen.work / "bin", seen.python, seen.headers, flags)
    for name in ("home", "tmp", "output"):
        (work / name).mkdir()
    shutil.copyfile(tools.hook, work / "hook.py")
    directory = seen.work / source.relative_to(work)
    environment = _environment(order, seen, directory)
    with view.start(_command(system, order, seen), directory, environment, scratch) as start:
        said, status = _run(start)
    if view.proot and status and _NOT_FOUND.search(said):
        said += "\nunder PRoot a program for another CPU seems not to be there: Exec format error\n"
    answer = work / "answer.json"
    missing = _missing(answer)
    if status or missing is None:
        raise ChassisError(_failed(order, system, said, f"ended with status {status}"))
    if missing:
        raise ChassisError(
            f"{order.label}: its build asks for {', '.join(missing)}, which is not among its build requirements\n"
            "  name it in `build_deps` (of a hub: `build_requires`)"
        )
    return _checked(order, work / "output", system, said)


def _missing(answer: Path) -> list[str] | None:
    """What the build says that it misses; None if it says nothing: it is code of others, and may say anything."""
    try:
        found = json.loads(read_regular(answer, _KEPT_BYTES) or b"null")
        return [str(requirement) for requirement in found["missing"]]
    except (ValueError, TypeError, KeyError):
        return None


@dataclass(frozen=True, slots=True)
class _Seen:
    """The paths of a build as it sees them, see isolation.py."""

    work: Path
    zig: Path
    runtime: Path
    drivers: Path
    python: Path
    headers: Path
    site_packages: tuple[Path, ...]
    includes: tuple[Path, ...]
    archives: tuple[Path, ...]

    @staticmethod
    def mount(order: WheelOrder, tools: BuildTools, view: View, work: Path) -> _Seen:
        if view.is_moved:
            root = view.add("python/root", tools.python_root)
            if tools.python.is_relative_to(tools.python_root):
                python = root / tools.python.relative_to(tools.python_root)
            else:
                python = view.add("python/python", tools.python)
        else:
            python = tools.python.absolute()
        return _Seen(
            work=view.add("work", work, writable=True),
            zig=view.add("zig", tools.zig),
            runtime=_directory(view, "runtime", tools.runtime),
            drivers=_directory(view, "drivers", tools.drivers),
            python=python,
            headers=view.add("headers", tools.headers),
            site_packages=tuple(
                _directory(view, f"site/{path.name}", path) for path in dict.fromkeys(order.site_packages)
            ),
            includes=tuple(
                _directory(view, f"include/{number}", path) for number, path in enumerate(order.libraries.includes)
            ),
            archives=tuple(
                view.add(f"archives/{number}/{path.name}", path) for number, path in enumerate(order.libraries.archives)
            ),
        )


def _directory(view: View, name: str, path: Path) -> Path:
    """Mounts a directory of a sandbox, whose files are links to where they really are."""
    return view.add(name, path)


def _check_requirements(order: WheelOrder, system: BuildSystem) -> None:
    found = {
        canonicalize_name(item.metadata["Name"] or "")
        for item in importlib.metadata.distributions(path=[str(path) for path in order.site_packages])
    }
    missing = []
    for line in system.requires:
        try:
            requirement = Requirement(line)
            holds = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        except (InvalidRequirement, UndefinedEnvironmentName) as error:
            raise ChassisError(f"{order.label}: build requirement {line!r}: {error}") from error
        if holds and canonicalize_name(requirement.name) not in found:
            missing.append(line)
    if missing:
        raise ChassisError(
            f"{order.label}: its pyproject.toml asks for {', '.join(missing)} to build it, and that is not among "
            f"its build requirements: {', '.join(sorted(found)) or 'nothing'}\n"
            "  add it to the requirements of the build hub (Chassis' own: requirements/build.in, then bazel run "
            "//requirements:build_locks), or name a hub of your own with `build_hub`; for a chassis_wheel: `build_deps`"
        )


def _write_programs(directory: Path, order: WheelOrder, seen: _Seen) -> None:
    """The PATH of the build: sh, the compilers under the names that builds look for, and what wheels bring."""
    directory.mkdir()
    (directory / "sh").symlink_to("/bin/sh")
    extra = [f"-I{path}" for path in seen.includes]
    for driver, names in {
        "cc": ("cc", "gcc", "clang", "c++", "g++", "clang++"),
        "ar": ("ar",),
        "ranlib": ("ranlib",),
        "ld.lld": ("ld", "ld.lld"),
    }.items():
        archives = ' "$@" ' + " ".join(f'"{path}"' for path in seen.archives) if driver == "cc" else ' "$@"'
        flags = " ".join(extra) if driver == "cc" else ""
        for name in names:
            _write_script(directory / name, f'exec "{seen.drivers}/{driver}" {flags}{archives}')
    for real, shown in zip(dict.fromkeys(order.site_packages), seen.site_packages, strict=True):
        for program in sorted((real / "bin").iterdir()) if (real / "bin").is_dir() else []:
            if (directory / program.name).exists() or not program.is_file():
                continue
            with program.open("rb") as file:
                first = file.readline(200)
            path = shown / "bin" / program.name
            if first.startswith(b"#!") and b"python" in first:
                _write_script(directory / program.name, f'exec "{seen.python}" -s "{path}" "$@"')
            else:
                (directory / program.name).symlink_to(path)


def _write_script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def _environment(order: WheelOrder, seen: _Seen, directory: Path) -> dict[str, str]:
    work = seen.work
    target = order.target
    path = [str(work / "overlay"), *map(str, seen.site_packages)]
    return {
        "CHASSIS_TARGET": target.zig_triple,
        "CMAKE_GENERATOR": "Ninja",
        "CMAKE_TOOLCHAIN_FILE": f"{work}/files/toolchain.cmake",
        "HOME": f"{work}/home",
        "LC_ALL": "C.UTF-8",
        "PATH": f"{work}/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": ":".join(path),
        "SOURCE_DATE_EPOCH": str(SOURCE_EPOCH_S),
        "TMPDIR": f"{work}/tmp",
        "TZ": "UTC",
        # Packages are written for gcc, which keeps an infinity that the source asks for under -ffast-math; clang takes
        # it for undefined. (annoy 1.17.3 finds nothing, or never ends.)
        "ZIG_FLAGS": "-fno-finite-math-only",
        "ZIG_ROOT": str(seen.zig),
        "ZIG_RUNTIME": str(seen.runtime),
        "_PYTHON_HOST_PLATFORM": f"linux-{target.machine}",
        "_PYTHON_SYSCONFIGDATA_NAME": SYSCONFIG_MODULE,
        **order.environment,
    }


def _command(system: BuildSystem, order: WheelOrder, seen: _Seen) -> list[str]:
    settings: dict[str, object] = dict(order.config_settings)
    if system.backend.startswith("mesonpy"):
        asked = settings.get("setup-args")
        settings["setup-args"] = [f"--cross-file={seen.work}/files/meson.ini", *([asked] if asked else [])]
    return [
        *(str(seen.python), "-s", "-P", str(seen.work / "hook.py")),
        *(system.backend, *system.backend_path, "--"),
        *(str(seen.work / "output"), json.dumps(settings, sort_keys=True), str(seen.work / "answer.json")),
    ]


def _run(start: Start) -> tuple[str, int]:
    """What it printed on both streams, in order, and its exit status."""
    build = subprocess.Popen(
        start.command,
        cwd=start.directory,
        env=dict(start.environment),
        preexec_fn=start.prepare,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        umask=0o022,
        pass_fds=start.descriptors,
    )
    with build:
        try:
            importlib.import_module(_CHECKS)
            said, _ = build.communicate(timeout=_TIMEOUT_S)
            status = build.returncode
        except subprocess.TimeoutExpired as error:
            said, status = error.stdout or b"", 124
        finally:
            build.kill()
    return said[-_KEPT_BYTES:].decode("utf-8", "replace"), status


def _failed(order: WheelOrder, system: BuildSystem, said: str, outcome: str) -> str:
    reason = explain(said, order.target)
    lines = [f"{order.label}: its build for {order.target.zig_triple} with {system.backend} {outcome}"]
    if reason:
        lines.append("  " + reason)
    return "\n".join([*lines, last_lines(said)])


def _checked(order: WheelOrder, output: Path, system: BuildSystem, said: str) -> Path:
    from chassis.cross.wheel_archive import defects, read_wheel, rewrite  # See _CHECKS.

    wheels = sorted(path for path in output.glob("*.whl") if is_plain(path))
    if len(wheels) != 1:
        raise ChassisError(_failed(order, system, said, f"left {len(wheels)} wheels, and one was expected"))
    wheel = read_wheel(wheels[0])
    found = defects(wheel, order.target, order.distribution, order.version)
    if found:
        listed = "".join(f"\n  {sentence}" for sentence in found)
        reason = explain(said, order.target)
        raise ChassisError(
            f"{order.label}: its build made {wheel.filename}, which cannot be taken:{listed}"
            + (f"\n  perhaps because {reason}" if reason else "")
            + f"\n{last_lines(said)}"
        )
    platforms = ".".join(order.target.platform_tag if name.startswith("linux_") else name for name in wheel.platforms)
    name = f"{'-'.join(wheel.filename.removesuffix('.whl').split('-')[:2])}-{wheel.pythons_and_abis}-{platforms}.whl"
    finished = output.parent / name
    rewrite(wheel, order.target, finished)
    finished.chmod(0o644)
    return finished

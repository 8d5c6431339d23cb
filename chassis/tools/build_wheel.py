"""Builds a wheel for a target platform from an sdist or from files of the workspace."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from absl import flags

from chassis.command_line.run import run_main
from chassis.command_line.staged import staged
from chassis.confinement.left_files import scratch_directory
from chassis.cross.isolation import open_view
from chassis.cross.source import copy_sources, read_build_system, unpack_sdist
from chassis.cross.target import cross_target
from chassis.cross.wheel_build import BuildTools, CcLibraries, WheelOrder, build_wheel
from chassis.declaration.pythons import TOOLS_PYTHON
from chassis.errors import ChassisError
from chassis.sandbox.scratch import scratch_place

T = TypeVar("T")

_LABEL = flags.DEFINE_string("label", None, "What is built, for errors.", required=True)
_SDIST = flags.DEFINE_string("sdist", None, "The sdist.")
_SOURCE = flags.DEFINE_multi_string("source", [], "A source in place of an sdist: PATH=FILE (repeated).")
_DISTRIBUTION = flags.DEFINE_string("distribution", None, "The distribution's name.", required=True)
_VERSION = flags.DEFINE_string("version", "", "Its version if it is known.")
_TAG = flags.DEFINE_string("tag", "", "The tag that the wheel must have if one is asked for.")
_ARCHITECTURE = flags.DEFINE_enum("architecture", None, ["amd64", "arm64"], "The target's CPU.", required=True)
_GLIBC = flags.DEFINE_string("glibc", "2.28", "The oldest glibc to run on.")
_SITE_PACKAGES = flags.DEFINE_multi_string("site_packages", [], "An unpacked wheel to build with (repeated).")
_ENV = flags.DEFINE_multi_string("env", [], "NAME=VALUE for the build (repeated).")
_SETTING = flags.DEFINE_multi_string("config_setting", [], "NAME=VALUE for the backend (repeated).")
_INCLUDE = flags.DEFINE_multi_string("include", [], "An include directory of C libraries (repeated).")
_ARCHIVE = flags.DEFINE_multi_string("archive", [], "A static library to link (repeated).")
_ZIG = flags.DEFINE_string("zig", None, "zig's directory.", required=True)
_RUNTIME = flags.DEFINE_string("runtime", None, "The directory of zig_runtime.", required=True)
_DRIVERS = flags.DEFINE_string("drivers", None, "The directory of cc.", required=True)
_PYTHON = flags.DEFINE_string("python", None, "The Python of the build.", required=True)
_PYTHON_VERSION = flags.DEFINE_string("python_version", TOOLS_PYTHON, "The target's Python, such as 3.11.")
_INTERPRETER = flags.DEFINE_string("interpreter", None, "A Python of that version to build with, in place of --python.")
_HEADERS = flags.DEFINE_string("headers", None, "The root of the target's Python headers.", required=True)
_HOOK = flags.DEFINE_string("hook", None, "chassis/cross/hook.py, which calls the backend.", required=True)
_BWRAP = flags.DEFINE_string("bwrap", None, "bubblewrap; without it and PRoot the build takes place at its real paths.")
_PROOT = flags.DEFINE_string("proot", None, "PRoot, for a machine without user namespaces.")
_CONFINE = flags.DEFINE_bool("confine", False, "Let the build see nothing else of the machine, or refuse it.")
_OUTPUT = flags.DEFINE_string("output", None, "Output: the wheel.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes the wheel, whole or not at all."""
    del argv
    os.umask(0o022)
    target = cross_target(_ARCHITECTURE.value, _GLIBC.value, _PYTHON_VERSION.value)
    bwrap, proot = (staged(value).absolute() if value else None for value in (_BWRAP.value, _PROOT.value))
    view = open_view(bwrap, proot, _CONFINE.value)
    if (bwrap or proot) and not view.is_moved:
        print(
            f"note: {_LABEL.value}: neither bubblewrap nor PRoot work here: its build sees its real paths",
            file=sys.stderr,
        )
    # A build writes programs and runs them: /tmp may be too small for it, or mounted with noexec.
    place = scratch_place(beside=Path(_OUTPUT.value).absolute().parent)
    with scratch_directory("wheel-", place) as scratch:
        work = scratch / "work"
        (work / "source").mkdir(parents=True)
        (scratch / "view").mkdir()
        if _SDIST.value:
            source = unpack_sdist(Path(_SDIST.value), work / "source")
        else:
            source = copy_sources(_pairs(_SOURCE.value, Path), work / "source")
        system = read_build_system(source, _LABEL.value)
        order = WheelOrder(
            label=_LABEL.value,
            distribution=_DISTRIBUTION.value,
            version=_VERSION.value,
            target=target,
            site_packages=tuple(Path(path).absolute() for path in _SITE_PACKAGES.value),
            environment=_pairs(_ENV.value, str),
            config_settings=_pairs(_SETTING.value, str),
            libraries=CcLibraries(
                # Bazel also names directories of which nothing was made.
                tuple(Path(path).absolute() for path in _INCLUDE.value if Path(path).is_dir()),
                tuple(Path(path).absolute() for path in _ARCHIVE.value),
            ),
        )
        wheel = build_wheel(order, source, system, _tools(), view, work, scratch / "view")
        _check_tag(wheel)
        shutil.copyfile(wheel, _OUTPUT.value)


def _tools() -> BuildTools:
    # The runfiles have links to its files, which lead nowhere in a root that has the files alone.
    python = staged(_INTERPRETER.value or _PYTHON.value).resolve()
    root = python.parent / "root"
    if not root.is_dir():  # not Debian's packages, but an installation: PREFIX/bin/python3
        root = python.parent.parent
    return BuildTools(
        zig=staged(_ZIG.value),
        runtime=Path(_RUNTIME.value),
        drivers=Path(_DRIVERS.value),
        python=python,
        python_root=root,
        headers=staged(_HEADERS.value),
        hook=Path(_HOOK.value),
    )


def _check_tag(wheel: Path) -> None:
    tag = "-".join(wheel.name.removesuffix(".whl").split("-")[-3:])
    if _TAG.value and tag != _TAG.value:
        raise ChassisError(
            f"{_LABEL.value}: the wheel's tag is {tag}, and `tag` says {_TAG.value}\n  write tag = {tag!r}"
        )


def _pairs(items: Sequence[str], kind: Callable[[str], T]) -> dict[str, T]:
    return {name: kind(value) for name, _, value in (item.partition("=") for item in items)}


if __name__ == "__main__":
    run_main(main)

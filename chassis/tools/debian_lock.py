"""Resolves Debian packages with apt into a lock, or renews locks from what their own headers ask for.

A new lock:   debian_lock --suite bookworm --architecture arm64 --package P … --exclude P … --output LOCK
Renewed:      debian_lock --renew LOCK …

Paths are relative to the workspace under `bazel run`. The machine's apt is only asked for its mirror; nothing
is installed and no root is needed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import pysequoia
from absl import flags

from chassis.command_line.run import run_main
from chassis.debian.apt import Apt, AptError, Verifier
from chassis.debian.gpgv_program import write_gpgv
from chassis.debian.lock import Wish, describe_changes, format_lock, make_lock, parse_lock
from chassis.debian.sources import find_mirrors
from chassis.errors import ChassisError
from chassis.whole_file import write_whole

_SUITE = flags.DEFINE_string("suite", "bookworm", "Suite of the main archive, such as bookworm.")
_ARCHITECTURE = flags.DEFINE_string("architecture", None, "Debian's name of the CPU: amd64 or arm64.")
_PACKAGE = flags.DEFINE_multi_string("package", [], "A package to resolve, with all it depends on.")
_EXCLUDE = flags.DEFINE_multi_string("exclude", [], "A package to leave out, with what only it depends on.")
_OUTPUT = flags.DEFINE_string("output", None, "The lock to write.")
_RENEW = flags.DEFINE_multi_string("renew", [], "A lock to make anew from its own header.")
_COMMAND = flags.DEFINE_string(
    "renew_command", "", "The command that a lock's header tells its reader to renew it with."
)
_ALLOW_UNVERIFIED = flags.DEFINE_bool(
    "allow_unverified", False, "Write a lock even if the archive's signature could not be checked."
)


def main(argv: Sequence[str]) -> int:
    """Writes the locks that the flags ask for; each appears whole or not at all."""
    del argv
    workspace = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", "."))
    if _RENEW.value:
        for name in _RENEW.value:
            _lock(workspace / name, parse_lock((workspace / name).read_text(), name).wish)
        return 0
    if not (_OUTPUT.value and _ARCHITECTURE.value and _PACKAGE.value):
        raise ChassisError("nothing to lock: give --output, --architecture and --package, or --renew LOCK")
    wish = Wish(_SUITE.value, _ARCHITECTURE.value, tuple(_PACKAGE.value), tuple(_EXCLUDE.value))
    _lock(workspace / _OUTPUT.value, wish)
    return 0


def _lock(path: Path, wish: Wish) -> None:
    if not (wish.suite and wish.architecture and wish.packages):
        raise ChassisError(f"{path}: its header names no suite, architecture and packages; make it with --output first")
    old = parse_lock(path.read_text(), str(path)) if path.is_file() else None
    with tempfile.TemporaryDirectory(prefix="chassis-apt-") as directory:
        apt = _reach(Path(directory), wish)
        packages = apt.resolve(wish.packages, wish.excluded)
    new = make_lock(wish, packages)
    renew = _COMMAND.value or f"./bazelw run //chassis/tools:debian_lock -- --renew {path.name}"
    write_whole(path, format_lock(new, renew).encode())
    megabytes = sum(package.size for package in packages) / 1e6
    print(f"{path}: {len(packages)} packages, {megabytes:.1f} MB; signature of the index: {apt.signature}")
    for line in describe_changes(old, new):
        print(f"  {line}")


def _verifier(directory: Path) -> Verifier:
    modules = Path(pysequoia.__file__).parents[1]
    return write_gpgv(directory, f"pysequoia {metadata.version('pysequoia')}", [modules])


def _reach(directory: Path, wish: Wish) -> Apt:
    failures = []
    for mirror in find_mirrors():
        apt = Apt(directory, mirror, wish.suite, wish.architecture, lambda: _verifier(directory))
        try:
            apt.update()
        except AptError as error:
            failures.append(str(error))
            continue
        if not apt.verified and not _ALLOW_UNVERIFIED.value:
            raise ChassisError(
                f"the signature of Debian's {wish.suite} was {apt.signature}\n"
                "  a lock is what later builds trust: --allow_unverified writes it all the same"
            )
        return apt
    raise ChassisError("\n".join(failures))


if __name__ == "__main__":
    run_main(main)

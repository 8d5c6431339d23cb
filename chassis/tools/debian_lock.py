"""Resolves Debian packages with apt into a lock, or renews locks from what their own headers ask for.

A new lock:   debian_lock --suite bookworm --architecture arm64 --package P … --exclude P … --output LOCK
Renewed:      debian_lock --renew LOCK …

Security updates of the suite are taken, too, and named. With --check nothing is written, and the exit status is 1 if a
locked package has one.

Paths are relative to the workspace under `bazel run`. The machine's apt is only asked for its mirror; nothing
is installed and no root is needed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.debian.lock import Wish, format_lock
from chassis.debian.renewal import UnverifiedError, read_lock, renewed
from chassis.errors import ChassisError
from chassis.whole_file import write_whole

_SUITE = flags.DEFINE_string("suite", "bookworm", "Suite of the main archive, such as bookworm.")
_ARCHITECTURE = flags.DEFINE_string("architecture", None, "Debian's name of the CPU: amd64 or arm64.")
_PACKAGE = flags.DEFINE_multi_string("package", [], "A package to resolve, with all it depends on.")
_EXCLUDE = flags.DEFINE_multi_string("exclude", [], "A package to leave out, with what only it depends on.")
_OUTPUT = flags.DEFINE_string("output", None, "The lock to write.")
_RENEW = flags.DEFINE_multi_string("renew", [], "A lock to make anew from its own header.")
_CHECK = flags.DEFINE_bool(
    "check", False, "Write nothing; exit status 1 if a package of --renew has a security update."
)
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
        insecure = [name for name in _RENEW.value if _renew(workspace / name)]
        return 1 if _CHECK.value and insecure else 0
    if _CHECK.value:
        raise ChassisError("--check: compares what locks have; name them with --renew LOCK")
    if not (_OUTPUT.value and _ARCHITECTURE.value and _PACKAGE.value):
        raise ChassisError("nothing to lock: give --output, --architecture and --package, or --renew LOCK")
    wish = Wish(_SUITE.value, _ARCHITECTURE.value, tuple(_PACKAGE.value), tuple(_EXCLUDE.value))
    _lock(workspace / _OUTPUT.value, wish)
    return 0


def _renew(path: Path) -> bool:
    lock = read_lock(path)
    if lock is None:
        raise ChassisError(f"{path}: cannot be read: there is no such file")
    return _lock(path, lock.wish)


def _lock(path: Path, wish: Wish) -> bool:
    """Locks a wish; whether a package that the lock had has a security update."""
    if not (wish.suite and wish.architecture and wish.packages):
        raise ChassisError(f"{path}: its header names no suite, architecture and packages; make it with --output first")
    try:
        renewal = renewed(read_lock(path), wish, allow_unverified=_ALLOW_UNVERIFIED.value)
    except UnverifiedError as error:
        raise ChassisError(
            f"{error}\n  a lock is what later builds trust: --allow_unverified writes it all the same"
        ) from None
    command = _COMMAND.value or f"./bazelw run //chassis/tools:debian_lock -- --renew {path.name}"
    if not _CHECK.value:
        write_whole(path, format_lock(renewal.new, command).encode())
    print("\n".join(renewal.report(str(path))))
    return bool(renewal.insecure)


if __name__ == "__main__":
    run_main(main)

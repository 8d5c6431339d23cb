"""Makes and renews the locks of a `debian_locks` target, with apt; --stale says whether they are what it asks for.

The positional arguments are locks to add to: those of Chassis' own base, one for each CPU. The machine's apt is asked
for its mirror alone; nothing is installed and no root is needed.
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

_SUITE = flags.DEFINE_string("suite", "", "Debian's release; that of the locks to add to, if there are any.")
_LOCK = flags.DEFINE_multi_string("lock", [], "ARCHITECTURE=PATH of a lock to make.")
_PACKAGE = flags.DEFINE_multi_string("package", [], "A package to resolve, with all that it depends on.")
_EXCLUDE = flags.DEFINE_multi_string("exclude", [], "A package to leave out, with what only it depends on.")
_TARGET = flags.DEFINE_string("target", None, "The label of the debian_locks target, for what people read.")
_STALE = flags.DEFINE_bool("stale", False, "Write nothing: fail if a lock is not of what the target asks for.")
_ONLY = flags.DEFINE_multi_string("only", [], "Renew only the lock of this architecture, such as arm64.")
_CHECK = flags.DEFINE_bool("check", False, "Write nothing; exit status 1 if a locked package has a security update.")
_ALLOW_UNVERIFIED = flags.DEFINE_bool(
    "allow_unverified", False, "Write a lock even if the archive's signature could not be checked."
)


def main(argv: Sequence[str]) -> int:
    """Writes the locks, each whole, and prints what changed."""
    bases = [lock.wish for path in argv[1:] if (lock := read_lock(Path(path)))]
    locks = [_asked(text, bases) for text in _LOCK.value]
    unknown = [name for name in _ONLY.value if name not in [wish.architecture for _, wish in locks]]
    if unknown:
        there_are = ", ".join(wish.architecture for _, wish in locks)
        raise ChassisError(f"--only={unknown[0]} is not an architecture of {_TARGET.value}: there are {there_are}")
    command = f"bazel run {_TARGET.value}"
    if _STALE.value:
        return _say_stale(locks, command)
    workspace = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", ".")).absolute()
    wanted = [(path, wish) for path, wish in locks if not _ONLY.value or wish.architecture in _ONLY.value]
    insecure = [path for path, wish in wanted if _renew(workspace, path, wish, command)]
    return 1 if _CHECK.value and insecure else 0


def _asked(text: str, bases: Sequence[Wish]) -> tuple[str, Wish]:
    """A lock's path in the workspace, and what is to be in it."""
    architecture, _, path = text.partition("=")
    base = next((wish for wish in bases if wish.architecture == architecture), Wish(_SUITE.value, architecture, ()))
    # What is asked for by name is not left out, though the base does without.
    packages = {*base.packages, *_PACKAGE.value}
    excluded = {*base.excluded, *_EXCLUDE.value} - set(_PACKAGE.value)
    if both := sorted(set(_PACKAGE.value) & set(_EXCLUDE.value)):
        raise ChassisError(f"{_TARGET.value}: {both[0]} is among `packages` and among `exclude`: take out one")
    return path, Wish(base.suite, architecture, tuple(sorted(packages)), tuple(sorted(excluded)))


def _say_stale(locks: Sequence[tuple[str, Wish]], command: str) -> int:
    stale = [reason for path, wish in locks if (reason := _why_stale(path, wish))]
    if stale:
        raise ChassisError("\n  ".join([*stale, f"renew with: {command}"]))
    print(f"{len(locks)} locks are of what {_TARGET.value} asks for")
    return 0


def _why_stale(path: str, wish: Wish) -> str | None:
    """Why a lock is to be made anew, from what its header says; None if it is of that wish."""
    lock = read_lock(Path(path))
    if lock is None:
        return f"{path} does not exist yet"
    for name, was, now in (
        ("suite", {lock.wish.suite}, {wish.suite}),
        ("architecture", {lock.wish.architecture}, {wish.architecture}),
        ("packages", set(lock.wish.packages), set(wish.packages)),
        ("excluded", set(lock.wish.excluded), set(wish.excluded)),
    ):
        if was != now:
            more = [f"+{item}" for item in sorted(now - was)] + [f"-{item}" for item in sorted(was - now)]
            return f"{path} was made of other {name}: {' '.join(more)}"
    return None


def _renew(workspace: Path, path: str, wish: Wish, command: str) -> bool:
    """Makes a lock; whether a package that it had has a security update."""
    try:
        renewal = renewed(read_lock(workspace / path), wish, allow_unverified=_ALLOW_UNVERIFIED.value)
    except UnverifiedError as error:
        raise ChassisError(
            f"{error}\n  a lock is what later builds trust: {command} -- --allow_unverified writes it all the same"
        ) from None
    if not _CHECK.value:
        write_whole(workspace / path, format_lock(renewal.new, command).encode())
    print("\n".join(renewal.report(path)), flush=True)
    return bool(renewal.insecure)


if __name__ == "__main__":
    run_main(main, positional=True)

"""The lock of a set of Debian packages: what was asked for, and each package by version, SHA-256 and pool
path.

One package a line, sorted by name, `#` begins a comment; no host, since every mirror has the same pool:

    # suite: bookworm # architecture: arm64 # packages: ca-certificates python3.11-minimal # excluded: debconf
    ca-certificates 20230311+deb12u1 sha256:5308…
    pool/main/c/ca-certificates/ca-certificates_20230311+deb12u1_all.deb
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from chassis.debian.apt import Package
from chassis.errors import ChassisError

_LINE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]+) (?P<version>\S+) sha256:(?P<sha256>[0-9a-f]{64}) (?P<path>pool/\S+\.deb)"
)
_SETTING = re.compile(r"# (?P<key>suite|architecture|packages|excluded): *(?P<value>.*)")


class LockError(ChassisError):
    """A lock that cannot be read; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a lock is resolved from: a suite of the archive, a Debian architecture, packages, and what to
    leave out.
    """

    suite: str
    architecture: str
    packages: tuple[str, ...]
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """One line of a lock; `sha256` in lower-case hexadecimal, `path` relative to a mirror."""

    name: str
    version: str
    sha256: str
    path: str


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock as it is read or written."""

    wish: Wish
    packages: tuple[LockedPackage, ...]


def make_lock(wish: Wish, packages: Sequence[Package]) -> Lock:
    """The lock of `packages`, as apt resolved them for `wish`."""
    lines = [LockedPackage(package.name, package.version, package.sha256, package.path) for package in packages]
    return Lock(wish, tuple(sorted(lines, key=lambda package: package.name)))


def format_lock(lock: Lock, renew: str) -> str:
    """The text of a lock file; `renew` is the command that makes it anew, for the reader."""
    wish = lock.wish
    lines = [
        f"# Debian packages, pinned. Renew with: {renew}",
        f"# suite: {wish.suite}",
        f"# architecture: {wish.architecture}",
        f"# packages: {' '.join(sorted(wish.packages))}",
        f"# excluded: {' '.join(sorted(wish.excluded))}".rstrip(),
    ]
    lines += [f"{package.name} {package.version} sha256:{package.sha256} {package.path}" for package in lock.packages]
    return "\n".join(lines) + "\n"


def parse_lock(text: str, file: str) -> Lock:
    """Reads a lock; `file` is its name for messages. Raises `LockError` at the first line that is not one of a
    lock's.
    """
    settings: dict[str, str] = {}
    packages: dict[str, LockedPackage] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if match := _SETTING.fullmatch(line):
            settings[match["key"]] = match["value"]
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise LockError(
                f"{file}, line {number}: expected `name version sha256:HEX pool/path.deb`, found {line[:100]!r}"
            )
        package = LockedPackage(match["name"], match["version"], match["sha256"], match["path"])
        if package.name in packages:
            raise LockError(f"{file}, line {number}: package {package.name} is there twice; remove one of the lines")
        packages[package.name] = package
    wish = Wish(
        settings.get("suite", ""),
        settings.get("architecture", ""),
        tuple(settings.get("packages", "").split()),
        tuple(settings.get("excluded", "").split()),
    )
    return Lock(wish, tuple(packages.values()))


def describe_changes(old: Lock | None, new: Lock, security: Collection[str] = ()) -> list[str]:
    """What a renewal changed, one line a package: added, removed, or another version; `security` are those of which an
    update of security is the reason."""
    before = {package.name: package for package in old.packages} if old else {}
    after = {package.name: package for package in new.packages}
    lines = []
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            lines.append(f"+ {name} {after[name].version}")
        elif name not in after:
            lines.append(f"- {name} {before[name].version}")
        elif before[name] != after[name]:
            why = " (security)" if name in security else ""
            lines.append(f"~ {name} {before[name].version} -> {after[name].version}{why}")
    return lines

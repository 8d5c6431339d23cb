"""Makes a lock of Debian packages anew, with apt and the machine's mirror."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pysequoia

from chassis.debian.apt import Apt, AptError, Verifier, is_newer
from chassis.debian.gpgv_program import write_gpgv
from chassis.debian.lock import Lock, Wish, describe_changes, make_lock, parse_lock
from chassis.debian.sources import find_mirrors, security_mirror
from chassis.errors import ChassisError


class UnverifiedError(ChassisError):
    """The signature of an archive's index could not be checked."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """A lock made anew.

    Attributes:
      old: as it was, None if there was none.
      new: as it is to be.
      size: of its packages, in bytes.
      signature: how that of the index was checked, in words.
      looked_for_security: whether an archive of security updates is known.
      insecure: packages of the old lock that have a security update since.
    """

    old: Lock | None
    new: Lock
    size: int
    signature: str
    looked_for_security: bool
    insecure: Collection[str]

    def report(self, name: str) -> list[str]:
        """Lines for people; `name` is the lock's."""
        lines = [
            f"{name}: {len(self.new.packages)} packages, {self.size / 1e6:.1f} MB; "
            f"signature of the index: {self.signature}"
        ]
        if not self.looked_for_security:
            lines.append("  security updates: not looked for; CHASSIS_DEBIAN_SECURITY_MIRROR=URL says where they are")
        return lines + [f"  {line}" for line in describe_changes(self.old, self.new, self.insecure)]


def read_lock(path: Path) -> Lock | None:
    """The lock in a file; None if there is none.

    Raises:
      ChassisError: it cannot be read.
    """
    try:
        return parse_lock(path.read_text(), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ChassisError(f"{path}: cannot be read: {error.strerror}") from None


def renewed(old: Lock | None, wish: Wish, *, allow_unverified: bool = False) -> Renewal:
    """The lock of a wish as the archive is now.

    Raises:
      UnverifiedError: the signature of the archive's index could not be checked, and that is not allowed.
      ChassisError: no mirror answers, or it lacks a package.
    """
    with tempfile.TemporaryDirectory(prefix="chassis-apt-") as directory:
        apt = _reach(Path(directory), wish, allow_unverified)
        packages = apt.resolve(wish.packages, wish.excluded)
        insecure = _insecure(apt, old)
    size = sum(package.size for package in packages)
    return Renewal(old, make_lock(wish, packages), size, apt.signature, apt.security is not None, insecure)


def _insecure(apt: Apt, old: Lock | None) -> set[str]:
    """The packages of a lock that have a security update since."""
    versions = {package.name: package.version for package in old.packages} if old else {}
    fixed = apt.security_versions(sorted(versions))
    return {name for name, version in fixed.items() if is_newer(version, versions[name])}


def _verifier(directory: Path) -> Verifier:
    modules = Path(pysequoia.__file__).parents[1]
    return write_gpgv(directory, f"pysequoia {metadata.version('pysequoia')}", [modules])


def _reach(directory: Path, wish: Wish, allow_unverified: bool) -> Apt:
    failures = []
    for mirror in find_mirrors():
        apt = Apt(
            directory,
            mirror,
            wish.suite,
            wish.architecture,
            lambda: _verifier(directory),
            security=security_mirror(mirror),
        )
        try:
            apt.update()
        except AptError as error:
            failures.append(str(error))
            continue
        if not apt.verified and not allow_unverified:
            raise UnverifiedError(f"the signature of Debian's {wish.suite} was {apt.signature}")
        return apt
    raise ChassisError("\n".join(failures))

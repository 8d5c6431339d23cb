"""Which Debian mirror this machine uses: the one that its apt is set to, or `CHASSIS_DEBIAN_MIRROR`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import NamedTuple

from chassis.errors import ChassisError

_SUITES = re.compile(
    r"^(?:(?:old)*stable|testing|unstable|sid|experimental"
    r"|buster|bullseye|bookworm|trixie|forky|duke)(?:-(?:updates|backports|proposed-updates))?$"
)


class Mirror(NamedTuple):
    """`uri` without a slash at its end; `origin` says in words where it was found."""

    uri: str
    origin: str


class NoMirrorError(ChassisError):
    """No Debian mirror is configured on this machine."""


def find_mirrors(timeout_s: int = 60) -> list[Mirror]:
    """Every Debian mirror that this machine may use, the preferred first; never empty.

    `CHASSIS_DEBIAN_MIRROR` alone counts if it is set. Otherwise apt itself is asked, so that each of its
    source formats is understood; archives of security updates are left out, since they lack the suites
    proper. Raises `NoMirrorError`.
    """
    override = os.environ.get("CHASSIS_DEBIAN_MIRROR")
    if override:
        return [Mirror(override.rstrip("/"), "the one that CHASSIS_DEBIAN_MIRROR names")]
    if not shutil.which("apt-get"):
        raise NoMirrorError("apt-get is not on this machine: this needs Debian's or Ubuntu's apt and dpkg")
    result = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI) $(RELEASE) $(COMPONENT)",
            "Created-By: Packages",
        ],
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    mirrors = parse_targets(result.stdout)
    if not mirrors:
        raise NoMirrorError(
            "no Debian mirror: the sources of this machine's apt name none\n"
            "  set CHASSIS_DEBIAN_MIRROR=URL to a mirror of the Debian archive that this machine can reach"
        )
    return mirrors


def security_mirror(mirror: Mirror) -> Mirror | None:
    """Where security updates of a mirror's suites are: what `CHASSIS_DEBIAN_SECURITY_MIRROR` names, else the archive
    `debian-security` beside the mirror's `debian`; None if the mirror is called something else.
    """
    named = os.environ.get("CHASSIS_DEBIAN_SECURITY_MIRROR")
    if named:
        return Mirror(named.rstrip("/"), "the one that CHASSIS_DEBIAN_SECURITY_MIRROR names")
    beside = mirror.uri.endswith("/debian")
    return Mirror(f"{mirror.uri}-security", f"the one beside {mirror.uri}") if beside else None


def parse_targets(text: str) -> list[Mirror]:
    """The mirrors among lines of `URI suite component`, each once, in their order."""
    found: dict[str, Mirror] = {}
    for line in text.splitlines():
        uri, _, rest = line.strip().partition(" ")
        suite, _, component = rest.partition(" ")
        if component == "main" and _SUITES.match(suite):
            found.setdefault(uri.rstrip("/"), Mirror(uri.rstrip("/"), "the one of this machine's apt"))
    return list(found.values())

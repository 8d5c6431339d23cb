"""A machine of its own, as far as a build can tell: another user, home, path, host name, umask and environment."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bare_environment import kept

CHECKOUT = Path(__file__).resolve().parents[2]
_LIMIT_S = 1800

# A user namespace with another host name, then one with another user: nothing of this needs privileges.
_AS_ROOT = ("unshare", "--user", "--map-root-user", "--uts", "sh", "-c")
_NAME_HOST = 'hostname "$1" && shift && exec "$@"'


@dataclass(frozen=True, eq=False)
class Machine:
    """How builds are started.

    Attributes:
      name: of the machine, its user and its directory.
      user: the user's number.
      umask: the shell's.
      environment: variables beyond HOME, PATH, USER and where packages come from.
      path: directories before those of the PATH.
      place: the checkout's directory, below the machine's own.
      processors: the numbers of those that it has, as for taskset; "" for all.
    """

    name: str
    user: int = 4711
    umask: int = 0o022
    environment: Mapping[str, str] = field(default_factory=dict)
    path: Sequence[str] = ()
    place: str = "src/chassis"
    processors: str = ""

    def directory(self, scratch: Path) -> Path:
        """Where all of it is."""
        return scratch / self.name

    def checkout(self, scratch: Path) -> Path:
        """Where its checkout is."""
        return self.directory(scratch) / self.place

    def run(self, scratch: Path, command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        """Runs a command there; its output is for errors."""
        home = self.directory(scratch) / "home"
        home.mkdir(parents=True, exist_ok=True)
        environment = {
            name: value for name, value in kept(os.environ).items() if not name.startswith("XDG_") and name != "TMPDIR"
        }
        environment |= _shared_places()
        environment |= {"HOME": str(home), "LOGNAME": self.name, "USER": self.name}
        environment["PATH"] = os.pathsep.join([*self.path, environment["PATH"]])
        environment |= self.environment
        wrapped = [*_AS_ROOT, _NAME_HOST, "sh", self.name]
        wrapped += ["unshare", "--user", f"--map-user={self.user}", f"--map-group={self.user}"]
        if self.processors:
            wrapped += ["taskset", "--cpu-list", self.processors]
        return subprocess.run(
            [*wrapped, *command],
            cwd=folder,
            env=environment,
            umask=self.umask,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_LIMIT_S,
        )


def copy_checkout(target: Path) -> None:
    """Copies this checkout as it is, with edits that are not committed and without what Git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        stdout=subprocess.PIPE,
    )
    for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
        file = CHECKOUT / name
        if file.exists() or file.is_symlink():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target / name, follow_symlinks=False)


def check_out(source: Path, target: Path, umask: int) -> None:
    """Copies what `copy_checkout` made, with the modes that a checkout has under a umask."""
    shutil.copytree(source, target, symlinks=True)
    for path in target.rglob("*"):
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~umask)


def cannot_start() -> str:
    """Why this machine cannot stand for several; "" if it can."""
    try:
        tried = subprocess.run(
            [*_AS_ROOT, _NAME_HOST, "sh", "other", "unshare", "--user", "--map-user=4711", "--map-group=4711", "true"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except FileNotFoundError as error:
        return f"{error.filename} is not installed (package util-linux or hostname)"
    return "" if tried.returncode == 0 else tried.stdout.strip()


def _shared_places() -> dict[str, str]:
    """What is fetched and checked by its hash, and how it is fetched: the machines take both from here."""
    home = Path.home()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    configuration = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    places = {
        "BAZELISK_HOME": cache / "bazelisk",
        "CHASSIS_CACHE": cache / "chassis",
        "DOCKER_CONFIG": home / ".docker",
        "NETRC": home / ".netrc",
        "PIP_CACHE_DIR": cache / "pip",
        "PIP_CONFIG_FILE": configuration / "pip/pip.conf",
    }
    return {
        name: os.environ.get(name) or str(place)
        for name, place in places.items()
        if name in os.environ or place.exists()
    }

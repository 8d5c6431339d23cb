"""A build at one and the same path wherever it runs: /chassis, in a file system view of its own.

Compilers, code generators and build systems write the paths of sources and headers into what they make. With bwrap
(https://github.com/containers/bubblewrap) the directories of a build are mounted where every other build has them.
If the kernel refuses that, the build takes place at the real paths.

A confined build has no more than that: its directories, the machine's /usr, a /proc, a /dev and a /tmp of its own. It
takes place behind these walls or not at all.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chassis.confinement.errors import ConfinementError
from chassis.confinement.seccomp import confining_filter

ROOT = Path("/chassis")
_PROBE_TIMEOUT_S = 30
_SYSTEM = ("/bin", "/lib", "/lib32", "/lib64", "/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec")


@dataclass(slots=True)
class View:
    """Where a build finds its directories.

    Attributes:
      bwrap: None if they are at their real paths.
      confined: whether it has nothing but these.
      descriptors: open files that the command line names, for `pass_fds`.
    """

    bwrap: Path | None
    confined: bool = False
    descriptors: tuple[int, ...] = ()
    _mounts: dict[str, tuple[Path, bool]] = field(default_factory=dict)

    def add(self, name: str, path: Path, writable: bool = False) -> Path:
        """Brings in a directory or file as `name`, and returns the path at which the build will see it."""
        self._mounts[name] = (path.resolve(), writable)
        return ROOT / name if self.bwrap else path.resolve()

    def command(self, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> list[str]:
        """The command line that runs `command` in this view, in `directory`, with exactly `environment`."""
        if not self.bwrap:
            return [*command]
        arguments = [*(_system_alone if self.confined else _whole_machine)(self.bwrap)]
        arguments += ["--clearenv", "--chdir", str(directory)]
        for path in self._linked() if self.confined else ():
            arguments += ["--ro-bind", os.path.realpath(path), path]
        for name, (path, writable) in sorted(self._mounts.items()):
            arguments += ["--bind" if writable else "--ro-bind", str(path), str(ROOT / name)]
        for name, value in environment.items():
            arguments += ["--setenv", name, value]
        if self.confined:
            arguments += ["--remount-ro", "/"]
        for descriptor in self.descriptors:
            arguments += ["--seccomp", str(descriptor)]
        return [*arguments, "--", *command]

    def _linked(self) -> list[str]:
        """The directories, or files, that the links in what is mounted lead to.

        Bazel's sandbox makes a directory of links of a directory that an action made: they lead into that one.
        """
        found: set[str] = set()
        for source, writable in self._mounts.values():
            if writable or not source.is_dir():
                continue
            for link in _links(source):
                target = str(link.readlink())
                if target.startswith("/") and not target.startswith(f"{source}/") and link.exists():
                    found.add(target.removesuffix(f"/{link.relative_to(source)}"))
        return sorted(path for path in found if not any(str(parent) in found for parent in Path(path).parents))


def open_view(bwrap: Path | None, confine: bool = False) -> View:
    """A view through `bwrap` where the kernel lets it, else one of the real paths.

    Raises:
      ConfinementError: the build is to be confined, and the kernel does not let it.
    """
    refused = "bwrap is missing"
    if bwrap is not None:
        command = [*(_system_alone if confine else _whole_machine)(bwrap), "--", "/bin/sh", "-c", "exit 0"]
        try:
            run = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PROBE_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            refused = str(error)
        else:
            if run.returncode == 0:
                return View(bwrap, confine, (_filter(),) if confine else ())
            refused = run.stderr.decode("utf-8", "replace").strip()
    if confine:
        raise ConfinementError(
            f"a build from sources cannot be confined on this machine, which has no user namespaces for it: {refused}"
        )
    return View(None)


def _whole_machine(bwrap: Path) -> list[str]:
    """A root of its own that has what the machine's has: so there is room for one more directory."""
    arguments = [str(bwrap), "--unshare-net", "--die-with-parent"]
    for path in sorted(Path("/").iterdir()):
        if path == ROOT:
            continue
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            arguments += ["--dev-bind", str(path), str(path)]
    return arguments


def _system_alone(bwrap: Path) -> list[str]:
    """A root of its own with the machine's programs and libraries, and namespaces of its own of every kind."""
    arguments = [str(bwrap), "--unshare-user", "--unshare-all", "--die-with-parent", "--new-session"]
    arguments += ["--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for path in map(Path, _SYSTEM):
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    return [*arguments, "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]


def _filter() -> int:
    """An open file with the filter of system calls, at its beginning."""
    descriptor = os.memfd_create("filter")
    os.write(descriptor, confining_filter(metadata=True, signals=True, truncating=True))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _links(root: Path) -> Iterator[Path]:
    """The symbolic links below a directory."""
    for directory, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = Path(directory, name)
            if path.is_symlink():
                yield path

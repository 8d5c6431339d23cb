"""A build at one and the same path wherever it runs: /chassis, in a file system view of its own.

Compilers, code generators and build systems write the paths of sources and headers into what they make. With
bubblewrap, or with PRoot if the kernel gives no namespaces (chassis/sandbox), the directories of a build are where
every other build has them. If neither works, the build takes place at the real paths.

A confined build has no more than that: its directories, the machine's /usr, a /proc, a /dev and a /tmp of its own. It
takes place behind bubblewrap's walls or not at all.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chassis.confinement.errors import ConfinementError
from chassis.confinement.landlock import DEVICE, READ, WRITE, Ruleset
from chassis.confinement.seccomp import confining_filter, serving_filter, set_filter
from chassis.sandbox.errors import SandboxError
from chassis.sandbox.ladder import Rung, Sandbox, Tools, climb, network_is_shut

ROOT = Path("/chassis")
_PROBE_TIMEOUT_S = 30
_SYSTEM = ("/bin", "/lib", "/lib32", "/lib64", "/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec")


@dataclass(frozen=True, slots=True)
class Start:
    """How a build is started: command line, directory, variables, what the forked child does first, open files."""

    command: Sequence[str]
    directory: Path | None
    environment: Mapping[str, str]
    prepare: Callable[[], None] | None = None
    descriptors: tuple[int, ...] = ()


@dataclass(slots=True)
class View:
    """Where a build finds its directories.

    Attributes:
      bwrap: bubblewrap, if that makes the view.
      proot: the rung with PRoot, if that does; None of both if the directories are at their real paths.
      confined: whether it has nothing but these.
      descriptors: open files that the command line names, for `pass_fds`.
    """

    bwrap: Path | None
    confined: bool = False
    descriptors: tuple[int, ...] = ()
    proot: Sandbox | None = None
    _mounts: dict[str, tuple[Path, bool]] = field(default_factory=dict)

    @property
    def is_moved(self) -> bool:
        """Whether a build sees its directories below ROOT."""
        return bool(self.bwrap or self.proot)

    def add(self, name: str, path: Path, writable: bool = False) -> Path:
        """Brings in a directory or file as `name`, and returns the path at which the build will see it."""
        self._mounts[name] = (path.resolve(), writable)
        return ROOT / name if self.is_moved else path.resolve()

    @contextmanager
    def start(
        self, command: Sequence[str], directory: Path, environment: Mapping[str, str], scratch: Path
    ) -> Iterator[Start]:
        """How to run `command` in this view, in `directory`, with exactly `environment`.

        `scratch` is an empty directory that the build does not see.
        """
        if self.bwrap:
            yield Start(self._bubblewrap(command, directory, environment), None, environment, None, self.descriptors)
        elif self.proot:
            with self._proot(self.proot, command, directory, environment, scratch) as start:
                yield start
        else:
            yield Start(command, directory, environment)

    def _bubblewrap(self, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> list[str]:
        assert self.bwrap
        arguments = [*(_system_alone if self.confined else _whole_machine)(self.bwrap)]
        arguments += ["--clearenv", "--chdir", str(directory)]
        for path in self._linked() if self.confined else ():
            arguments += ["--ro-bind", os.path.realpath(path), path]
        for name, (source, writable) in sorted(self._mounts.items()):
            arguments += ["--bind" if writable else "--ro-bind", str(source), str(ROOT / name)]
        for name, value in environment.items():
            arguments += ["--setenv", name, value]
        if self.confined:
            arguments += ["--remount-ro", "/"]
        for descriptor in self.descriptors:
            arguments += ["--seccomp", str(descriptor)]
        return [*arguments, "--", *command]

    @contextmanager
    def _proot(
        self,
        sandbox: Sandbox,
        command: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        scratch: Path,
    ) -> Iterator[Start]:
        """A root that has what the machine's has, and ROOT. Landlock leaves the build only its own to write to."""
        assert sandbox.proot
        root = scratch / "root"
        arguments = ["-v", "-1", "-r", str(root), "-w", str(directory)]
        # Each place is made here: what is missing PRoot makes itself, in the machine's / or /tmp.
        for path in sorted(Path("/").iterdir()):
            place = root / path.name
            if path == ROOT:
                continue
            if path.is_symlink():
                root.mkdir(exist_ok=True)
                place.symlink_to(path.readlink())
            elif path.is_dir():
                place.mkdir(parents=True)
                arguments += ["-b", str(path)]
        for name, (source, _) in sorted(self._mounts.items()):
            place = root / ROOT.relative_to("/") / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.mkdir() if source.is_dir() else place.touch()
            arguments += ["-b", f"{source}:{ROOT / name}"]
        with ExitStack() as stack:
            ruleset = None
            if sandbox.landlock:
                ruleset = stack.enter_context(Ruleset(None if network_is_shut() else ()))
                ruleset.allow("/", READ)
                ruleset.allow("/dev", DEVICE | READ)
                for writable in (
                    "/tmp",
                    "/dev/shm",
                    *(source for source, writable in self._mounts.values() if writable),
                ):
                    ruleset.allow(writable, WRITE)

            def prepare() -> None:
                if ruleset:
                    ruleset.restrict()
                    set_filter(serving_filter(sockets=network_is_shut()))

            variables = {**environment, **sandbox.proot.environment(scratch, environment)}
            yield Start([*sandbox.proot.command, *arguments, *command], None, variables, prepare)

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


def open_view(bwrap: Path | None, proot: Path | None = None, confine: bool = False) -> View:
    """A view through bubblewrap if the kernel lets it, else through PRoot, else one of the real paths.

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
        # PRoot's walls would be Landlock's, which leaves modes and times of files open, and builds set those.
        raise ConfinementError(
            f"a build from sources cannot be confined on this machine, which has no user namespaces for it: {refused}"
        )
    try:
        return View(None, proot=climb(Tools(None, proot), rungs=[Rung.PROOT]))
    except SandboxError:
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

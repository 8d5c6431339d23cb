"""Starts a program of an image from the image's unpacked root, on whichever rung of the ladder there is.

On each it sees the image read-only, an empty /tmp that it may write to, few devices, and its own environment. On
bubblewrap's it has user, process and IPC namespaces of its own. On the others Landlock closes the machine's files to
it; on PRoot's it is traced, and thinks that it is the image's user; on chroot's it is that user, without a /proc.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from chassis.confinement import landlock
from chassis.confinement.errors import ConfinementError
from chassis.confinement.landlock import DEVICE, READ, WRITE, Ruleset
from chassis.confinement.seccomp import serving_filter, set_filter
from chassis.confinement.walls import drop_capabilities
from chassis.oci.file_tree import UnpackError, remove_tree, resolve_within
from chassis.sandbox.binfmt import HEAD_BYTES, register_here
from chassis.sandbox.errors import SandboxError
from chassis.sandbox.keeper import keep
from chassis.sandbox.ladder import Need, Rung, Sandbox, network_is_shut
from chassis.sandbox.program import ElfCommand, Emulator, User, elf_command, find_program
from chassis.sandbox.scratch import scratch_place

EMULATOR_PATH = "/.chassis-emulator"
_E_MACHINE = slice(18, 20)
_DEVICES = {"full": (1, 7), "null": (1, 3), "random": (1, 8), "urandom": (1, 9), "zero": (1, 5)}
_STOP_SECONDS = 30.0
_PR_SET_NO_NEW_PRIVS = 38
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Program:
    """What is to run.

    Attributes:
      root: the directory that it sees as /.
      argv: the command line, of paths in the root or names for its PATH.
      environment: all of its variables.
      directory: where it starts, a path in the root.
      user: whom it runs as.
      emulator: for a root of another CPU.
      ports: the TCP ports that it may connect to, if it has not a network of its own.
    """

    root: Path
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str
    user: User
    emulator: Emulator | None = None
    ports: tuple[int, ...] = ()


class RunningProgram:
    """A started program; always end it with `end`."""

    def __init__(self, process: subprocess.Popen[bytes], kept: bool, left: ExitStack) -> None:
        self.process = process
        self._kept = kept
        self._left = left

    def end(self) -> None:
        """Ends it at once, with every process that it started; its temporary files go."""
        try:
            self._end()
        finally:
            self._left.close()

    def _end(self) -> None:
        if self.process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if self._kept:
                self.process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(_STOP_SECONDS)
                    return
            os.killpg(self.process.pid, signal.SIGKILL)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise SandboxError(f"process {self.process.pid} does not end, even killed") from None


@dataclass(frozen=True, slots=True)
class _Start:
    """How the rung's program is started: its command line, variables, what the forked child does first, open files."""

    command: Sequence[str]
    environment: Mapping[str, str]
    prepare: Callable[[], None]
    descriptors: tuple[int, ...] = ()


def start(sandbox: Sandbox, program: Program, output: IO[bytes]) -> RunningProgram:
    """Starts a program in a sandbox, both of its streams going to `output`.

    Raises:
      ChassisError: the root has not what it takes, or the program cannot be started.
    """
    _check(program)
    with ExitStack() as stack:
        begin = stack.enter_context(_RUNGS[sandbox.rung](sandbox, program))
        try:
            process = subprocess.Popen(
                begin.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=begin.environment,
                start_new_session=True,  # a process group of its own, to be stopped as one
                preexec_fn=begin.prepare,
                pass_fds=begin.descriptors,
            )
        except OSError as error:
            raise SandboxError(f"{begin.command[0]}: cannot be started: {error.strerror}") from None
        except subprocess.SubprocessError as error:
            raise SandboxError(f"{sandbox.rung.value}: {error}") from None
        return RunningProgram(process, not sandbox.ends_all, stack.pop_all())
    raise AssertionError


def _check(program: Program) -> None:
    if not program.argv:
        raise SandboxError("the image has neither an entrypoint nor a command; there is nothing to start")
    with contextlib.suppress(UnpackError):
        directory = program.root / resolve_within(program.root, program.directory)[1:]
        if directory.is_dir():
            return
    raise SandboxError(f"the image's working directory is not in it: {program.directory}")


def _elf_command(program: Program) -> ElfCommand:
    return elf_command(program.root, program.argv, program.environment.get("PATH", ""), program.directory)


def _native(program: Program) -> str:
    """The path in the root of the program to start, of this machine's CPU."""
    path = find_program(program.root, program.argv[0], program.environment.get("PATH", ""), program.directory)
    try:
        file = program.root / resolve_within(program.root, path)[1:]
    except UnpackError:
        raise SandboxError(f"the image's program cannot be started: {path}: it is not in the image") from None
    if not file.is_file() or not file.stat().st_mode & 0o111:
        raise SandboxError(f"the image's program cannot be started: {path}: it is not an executable file")
    return path


@contextmanager
def _bubblewrap(sandbox: Sandbox, program: Program) -> Iterator[_Start]:
    with ExitStack() as stack:
        files = [EMULATOR_PATH[1:]] if program.emulator else []
        _make_mount_points(program, ("proc", "dev", "tmp"), files)
        options = ["--unshare-user", "--uid", str(program.user.uid), "--gid", str(program.user.gid)]
        options += ["--unshare-ipc", "--unshare-uts", "--hostname", "chassis-test", "--unshare-cgroup-try"]
        options += ["--die-with-parent", "--ro-bind", str(program.root), "/"]
        # Another process namespace's /proc would show this one's processes under wrong numbers: both or none.
        options += ["--unshare-pid", "--proc", "/proc"] if sandbox.own_proc else ["--ro-bind", "/proc", "/proc"]
        options += ["--dev", "/dev", "--tmpfs", "/tmp"]
        argv = list(program.argv)
        if program.emulator:
            options += ["--ro-bind", str(program.emulator.file.resolve()), EMULATOR_PATH]
            argv = program.emulator.command(*_elf_command(program))
        else:
            argv[0] = _native(program)
        options += ["--chdir", program.directory, "--clearenv"]
        register = stack.enter_context(_emulated_children(sandbox, program))
        environment = {**_cpu_of_children(sandbox, program.emulator), **program.environment}
        for name, value in environment.items():
            options += ["--setenv", name, value]
        descriptors = tuple(stack.enter_context(_open_filter()))
        for descriptor in descriptors:
            options += ["--seccomp", str(descriptor)]
        # Files are the mount namespace's matter, and a process whose files Landlock has closed may not mount.
        ruleset = None
        if not network_is_shut() and landlock.landlock_version() >= landlock.NETWORK_SINCE:
            ruleset = stack.enter_context(Ruleset(program.ports, files=False, binding=True))

        def prepare() -> None:
            if not sandbox.ends_all:
                keep()
            register()
            if ruleset:
                ruleset.restrict()

        # Without variables: /proc/1/environ has those that bubblewrap itself was started with.
        yield _Start([str(sandbox.bwrap), *options, "--", *argv], {}, prepare, descriptors)


@contextmanager
def _emulated_children(sandbox: Sandbox, program: Program) -> Iterator[Callable[[], None]]:
    """What a forked child does so that what `program` starts is emulated as it is; nothing if it needs no emulator."""
    emulator = program.emulator
    if emulator is None or Need.CHILDREN not in sandbox.gives:
        yield lambda: None
        return
    head = (program.root / _elf_command(program).program[1:]).read_bytes()[:HEAD_BYTES]
    if head[_E_MACHINE] == Path("/proc/self/exe").read_bytes()[_E_MACHINE]:
        # An older CPU of this machine's kind. The kernel would start bubblewrap itself under the emulator, and that
        # under itself.
        yield lambda: None
        return
    with _scratch() as place:
        yield lambda: register_here(emulator.file, head, place)


def _cpu_of_children(sandbox: Sandbox, emulator: Emulator | None) -> dict[str, str]:
    """What the kernel starts has no command line to say it."""
    return {"QEMU_CPU": emulator.cpu} if emulator and emulator.cpu and Need.CHILDREN in sandbox.gives else {}


@contextmanager
def _proot(sandbox: Sandbox, program: Program) -> Iterator[_Start]:
    assert sandbox.proot
    with ExitStack() as stack:
        scratch = stack.enter_context(_scratch())
        for name in ("tmp", "shm"):
            (scratch / name).mkdir()
        # What is missing of its mount points PRoot makes itself, in /tmp and nowhere else.
        directories, files = ["proc", "dev", "dev/shm", "tmp"], [f"dev/{name}" for name in _DEVICES]
        if program.emulator:
            directories += ["host-rootfs", "etc"]
            files.append("etc/ld.so.preload")
        _make_mount_points(program, directories, files)
        options = ["-v", "-1", "-r", str(program.root), "-i", f"{program.user.uid}:{program.user.gid}"]
        options += ["-w", program.directory, "-b", "/proc"]
        for name in _DEVICES:
            options += ["-b", f"/dev/{name}"]
        options += ["-b", f"{scratch}/tmp:/tmp", "-b", f"{scratch}/shm:/dev/shm"]
        argv = list(program.argv)
        if program.emulator:
            # PRoot takes the command apart at spaces, and starts children with it, too.
            (scratch / "qemu").symlink_to(program.emulator.file.resolve())
            cpu = f" -cpu {program.emulator.cpu}" if program.emulator.cpu else ""
            options += ["-q", f"{scratch}/qemu{cpu}"]
        argv[0] = _native(program)
        ruleset = None
        if sandbox.landlock:
            ruleset = stack.enter_context(Ruleset(_ports(program), binding=True))
            readable = [program.root, *sandbox.proot.files, scratch, "/proc", "/sys/devices/system/cpu"]
            for path in readable:
                ruleset.allow(path, READ)
            if program.emulator:
                ruleset.allow(program.emulator.file, READ)
            for name in _DEVICES:
                ruleset.allow(f"/dev/{name}", DEVICE)
            for name in ("tmp", "shm"):
                ruleset.allow(scratch / name, WRITE)

        def prepare() -> None:
            keep()
            _restrict(ruleset)

        environment = {**program.environment, **sandbox.proot.environment(scratch, program.environment)}
        yield _Start([*sandbox.proot.command, *options, *argv], environment, prepare)


@contextmanager
def _chroot(sandbox: Sandbox, program: Program) -> Iterator[_Start]:
    with ExitStack() as stack:
        _make_devices(program.root)
        argv = [_native(program), *program.argv[1:]]
        if program.emulator:
            shutil.copyfile(program.emulator.file, program.root / EMULATOR_PATH[1:])
            (program.root / EMULATOR_PATH[1:]).chmod(0o755)
            argv = program.emulator.command(*_elf_command(program))
        ruleset = None
        if sandbox.landlock:
            ruleset = stack.enter_context(Ruleset(_ports(program), binding=True))
            ruleset.allow(program.root, READ)
            for name in _DEVICES:
                ruleset.allow(program.root / "dev" / name, DEVICE)
            for name in ("tmp", "dev/shm"):
                ruleset.allow(program.root / name, WRITE)

        def prepare() -> None:
            keep()
            os.chroot(program.root)
            os.chdir(program.directory)
            os.setgroups([])
            os.setgid(program.user.gid)
            os.setuid(program.user.uid)
            _restrict(ruleset)

        yield _Start(argv, dict(program.environment), prepare)


_RUNGS = {Rung.BUBBLEWRAP: _bubblewrap, Rung.PROOT: _proot, Rung.CHROOT: _chroot}


def _ports(program: Program) -> tuple[int, ...] | None:
    return None if network_is_shut() else program.ports


def _restrict(ruleset: Ruleset | None) -> None:
    """What a forked child gives up before it becomes the program."""
    drop_capabilities()
    if ruleset:
        ruleset.restrict()
    elif _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise SandboxError(f"privileges stay within reach: {os.strerror(ctypes.get_errno())}")
    with contextlib.suppress(ConfinementError):  # a machine for which there is no filter
        set_filter(serving_filter(sockets=network_is_shut()))


@contextmanager
def _open_filter() -> Iterator[tuple[int, ...]]:
    """An open file with the filter of system calls; none on a machine for which there is none."""
    try:
        content = serving_filter(sockets=network_is_shut())
    except ConfinementError:
        yield ()
        return
    descriptor = os.memfd_create("filter")
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield (descriptor,)
    finally:
        os.close(descriptor)


@contextmanager
def _scratch() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="sandbox-", dir=scratch_place()))
    try:
        yield directory
    finally:
        remove_tree(directory)


@contextmanager
def _writable(root: Path) -> Iterator[None]:
    """The image's own mode may forbid its owner here to write."""
    mode = root.stat().st_mode
    root.chmod(0o755)
    try:
        yield
    finally:
        root.chmod(mode & 0o7777)


def _make_mount_points(program: Program, directories: Sequence[str], files: Sequence[str]) -> None:
    root = program.root
    with _writable(root):
        for name in directories:
            _make_directory(root / name, f"/{name}")
        for name in files:
            if not os.path.lexists(root / name):
                (root / name).touch()


def _make_directory(path: Path, name: str) -> None:
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise SandboxError(f"{name} in the image is not a directory, so nothing can be mounted on it")
    path.mkdir(exist_ok=True)
    if name in ("/dev", "/etc"):  # files are made in these
        path.chmod(0o755)


def _make_devices(root: Path) -> None:
    with _writable(root):
        for name in ("dev", "dev/shm", "tmp"):
            _make_directory(root / name, f"/{name}")
            (root / name).chmod(0o1777 if name != "dev" else 0o755)
        for name, (major, minor) in _DEVICES.items():
            path = root / "dev" / name
            path.unlink(missing_ok=True)
            os.mknod(path, stat.S_IFCHR, os.makedev(major, minor))
            path.chmod(0o666)

"""Runs an image's server from its unpacked root, shut off from the machine, with bubblewrap.

The server sees the image read-only, /proc, a minimal /dev, an empty /tmp, its own user and process
namespaces, and the network namespace of the test, which is Bazel's with nothing but loopback.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chassis.errors import ChassisError
from chassis.image_test.program import DEFAULT_PATH, Emulator, emulated_command, image_user
from chassis.oci.rootfs import RootFileSystem

EMULATOR_PATH = "/.chassis-emulator"
_KILL_SECONDS = 10.0
_SHOWN_LOG_BYTES = 64 << 10


class SandboxError(ChassisError):
    """The sandbox cannot be made on this machine."""


@dataclass(frozen=True, slots=True)
class Launch:
    """All that starting a server needs: the unpacked image, bubblewrap's program, and the emulator, if one
    is needed."""

    image: RootFileSystem
    bwrap: Path
    emulator: Emulator | None = None


class SandboxedServer:
    """A running server; always stop it with `kill`, or use it as a context manager."""

    def __init__(self, launch: Launch, environment: Mapping[str, str], log: Path, own_proc: bool = True) -> None:
        """Starts it, its output appended to the file `log`.

        Without `own_proc` the server sees the test's own /proc and processes, for machines where none can be
        mounted.
        """
        _make_mount_points(launch.image.path, launch.emulator)
        command = _command(launch, environment, own_proc)
        self.log_path = log
        with log.open("ab") as output:
            try:
                self.process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # a process group of its own, to be stopped as one
                )
            except OSError as error:
                raise SandboxError(f"{launch.bwrap}: cannot be started: {error.strerror}") from None

    def __enter__(self) -> SandboxedServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def log(self) -> str:
        """The end of what the server wrote."""
        with self.log_path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _SHOWN_LOG_BYTES))
            text = stream.read().decode(errors="replace")
        return text if size <= _SHOWN_LOG_BYTES else f"… ({size - _SHOWN_LOG_BYTES} bytes before)\n{text}"

    def wait(self, seconds: float) -> int | None:
        """The exit status (128 + the signal's number if one ended it); None if it still runs after
        `seconds`."""
        try:
            status = self.process.wait(max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            return None
        return status if status >= 0 else 128 - status

    def kill(self) -> None:
        """Ends the server at once, with every process that it started."""
        if self.process.poll() is not None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        try:
            self.process.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            raise SandboxError(f"process {self.process.pid} does not end, even killed") from None


def explain_sandbox_failure(log: str) -> str | None:
    """What stopped bubblewrap itself, with the remedy; None if the log tells of no such failure."""
    line = next((line for line in log.splitlines() if line.startswith("bwrap: ")), None)
    if line is None:
        return None
    if "Can't chdir to" in line:
        return f"the image's working directory is not in it: {line.partition('chdir to ')[2]}"
    if "execvp" in line:
        return f"the image's program cannot be started: {line.removeprefix('bwrap: execvp ')}"
    return (
        f"the sandbox cannot be made: {line}\n"
        "  an ordinary user needs user namespaces: `sysctl kernel.unprivileged_userns_clone=1` on Debian "
        "kernels, `sysctl kernel.apparmor_restrict_unprivileged_userns=0` on Ubuntu 23.10 and later"
    )


def cannot_mount_proc(log: str) -> bool:
    """Whether bubblewrap stopped because no new /proc may be mounted here, as in containers that mask the
    outer one."""
    return "bwrap: Can't mount proc" in log


def _make_mount_points(root: Path, emulator: Emulator | None) -> None:
    mode = root.stat().st_mode
    root.chmod(0o755)  # the image's own mode may forbid its owner here to write
    try:
        for name in ("proc", "dev", "tmp"):
            if (root / name).is_symlink() or ((root / name).exists() and not (root / name).is_dir()):
                raise SandboxError(f"/{name} in the image is not a directory, so nothing can be mounted on it")
            (root / name).mkdir(exist_ok=True)
        if emulator:
            (root / emulator.path[1:]).touch()
    finally:
        root.chmod(mode & 0o7777)


def _command(launch: Launch, environment: Mapping[str, str], own_proc: bool) -> list[str]:
    image, config = launch.image, launch.image.config
    argv = [*config.entrypoint, *config.command]
    if not argv:
        raise SandboxError("the image has neither an entrypoint nor a command; there is nothing to start")
    user = image_user(image.path, config.user)
    variables = {"PATH": DEFAULT_PATH, "HOME": user.home, **config.environment, **environment}
    options = ["--unshare-user", "--uid", str(user.uid), "--gid", str(user.gid)]
    options += ["--unshare-ipc", "--unshare-uts", "--hostname", "chassis-test", "--unshare-cgroup-try"]
    options += ["--die-with-parent", "--ro-bind", str(image.path), "/"]
    # Another process namespace's /proc would show this one's processes under wrong numbers: both or none.
    options += ["--unshare-pid", "--proc", "/proc"] if own_proc else ["--ro-bind", "/proc", "/proc"]
    options += ["--dev", "/dev", "--tmpfs", "/tmp"]
    if launch.emulator:
        options += ["--ro-bind", str(launch.emulator.file.resolve()), launch.emulator.path]
        argv = emulated_command(image.path, argv, variables["PATH"], config.working_dir, launch.emulator)
    options += ["--chdir", config.working_dir, "--clearenv"]
    for name, value in variables.items():
        options += ["--setenv", name, value]
    return [str(launch.bwrap), *options, "--", *argv]


def temporary_directory() -> Path:
    """A new directory to unpack into, in Bazel's `TEST_TMPDIR` if that is set."""
    return Path(tempfile.mkdtemp(prefix="chassis-image-", dir=os.environ.get("TEST_TMPDIR")))

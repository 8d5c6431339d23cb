"""Runs an image's server from its unpacked root, shut off from the machine (chassis/sandbox)."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chassis.oci.rootfs import RootFileSystem
from chassis.sandbox.image_root import Program, start
from chassis.sandbox.ladder import Sandbox
from chassis.sandbox.program import DEFAULT_PATH, Emulator, image_user

_SHOWN_LOG_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Launch:
    """All that starting a server needs: the unpacked image, the sandbox that works here, and the emulator, if one
    is needed."""

    image: RootFileSystem
    sandbox: Sandbox
    emulator: Emulator | None = None


class SandboxedServer:
    """A running server; always stop it with `kill`, or use it as a context manager."""

    def __init__(self, launch: Launch, environment: Mapping[str, str], log: Path, ports: Sequence[int] = ()) -> None:
        """Starts it, its output appended to the file `log`. `ports` are those of TCP that it may connect to."""
        self.log_path = log
        with log.open("ab") as output:
            self._running = start(launch.sandbox, _program(launch, environment, ports), output)
        self.process = self._running.process

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
        self._running.end()


def explain_start_failure(log: str) -> str | None:
    """What kept the image's program from starting, as the sandbox says it; None if the log tells of no such
    failure."""
    for line in log.splitlines():
        if line.startswith("bwrap: execvp"):
            return f"the image's program cannot be started: {line.removeprefix('bwrap: execvp ')}"
        if line.startswith(("bwrap: ", "proot error: ")):
            return f"the sandbox cannot be made: {line}"
    return None


def _program(launch: Launch, environment: Mapping[str, str], ports: Sequence[int]) -> Program:
    image, config = launch.image, launch.image.config
    user = image_user(image.path, config.user)
    return Program(
        root=image.path,
        argv=(*config.entrypoint, *config.command),
        environment={"PATH": DEFAULT_PATH, "HOME": user.home, **config.environment, **environment},
        directory=config.working_dir,
        user=user,
        emulator=launch.emulator,
        ports=tuple(ports),
    )


def temporary_directory() -> Path:
    """A new directory to unpack into, in Bazel's `TEST_TMPDIR` if that is set."""
    return Path(tempfile.mkdtemp(prefix="chassis-image-", dir=os.environ.get("TEST_TMPDIR")))

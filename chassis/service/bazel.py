"""Bazel as a program that the service runs: its output goes to the job's log, and it ends when it is told to."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chassis.errors import ChassisError
from chassis.oci.registry.errors import CancelledError
from chassis.oci.registry.transport import Cancellation

_PR_SET_PDEATHSIG = 1
_STOP_SECONDS = 30.0
_KEPT = (
    "HOME",
    "PATH",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
)
_KEPT_PREFIXES = ("PIP_", "UV_", "CHASSIS_", "BAZEL")
_WITHHELD = ("CHASSIS_SERVICE_TOKEN",)
_SHOWN_ERRORS = 12
# Of what a build writes, so much is held to find the reason of a failure in: the last, which it is among.
_KEPT_LINES, _KEPT_CHARACTERS = 2000, 2000
_MAX_LINE = 16 << 10


class BuildError(ChassisError):
    """A build that failed; the message has what Bazel and the tools said."""


@dataclass(frozen=True, slots=True)
class Bazel:
    """Bazel in one workspace.

    Attributes:
      program: `bazelw` or another Bazel.
      workspace: the directory to run in.
      startup: options before the command, such as `--output_base=…`.
      options: options of every build.
    """

    program: Path
    workspace: Path
    startup: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def build(self, targets: Sequence[str], line: Callable[[str], None], cancellation: Cancellation) -> None:
        """Builds `targets`; each line of output goes to `line`.

        Raises:
          BuildError: the build failed.
          CancelledError: `cancellation` was set; Bazel has stopped then.
        """
        output: deque[str] = deque(maxlen=_KEPT_LINES)

        def keep(text: str) -> None:
            output.append(text[:_KEPT_CHARACTERS])
            line(text)

        options = ("--color=no", "--curses=no", "--show_progress_rate_limit=5", "--keep_going", *self.options)
        status = self._run(["build", *options, "--", *targets], keep, cancellation)
        cancellation.check()
        if status:
            raise BuildError(f"the build failed (status {status}): {_reasons(list(output))}")

    def expunge(self) -> None:
        """Removes all that was unpacked and built in the workspace, and ends the server."""
        self._run(["clean", "--expunge"], lambda text: None, Cancellation())

    def stop(self) -> None:
        """Ends the Bazel server of the workspace, if one runs."""
        if self.workspace.is_dir():
            self._run(["shutdown"], lambda text: None, Cancellation())

    def _run(self, arguments: Sequence[str], line: Callable[[str], None], cancellation: Cancellation) -> int:
        process = subprocess.Popen(
            [str(self.program), *self.startup, *arguments],
            cwd=self.workspace,
            env=_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=end_with_parent(),
        )
        output = process.stdout
        assert output is not None
        ended = threading.Event()
        watcher = threading.Thread(target=_interrupt_when_cancelled, args=(process, cancellation, ended), daemon=True)
        watcher.start()
        try:
            while text := output.readline(_MAX_LINE):  # a build may write one without an end
                line(text.rstrip("\n"))
            return process.wait()
        finally:
            ended.set()
            watcher.join(_STOP_SECONDS)
            if process.poll() is None:
                process.kill()
                process.wait()
            output.close()


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What Bazel gets of the service's environment: nothing secret of the service's own."""
    return {
        name: value
        for name, value in environment.items()
        if (name in _KEPT or name.startswith(_KEPT_PREFIXES)) and name not in _WITHHELD
    }


def end_with_parent() -> Callable[[], None]:
    """Has the kernel interrupt the child when the service dies, even by SIGKILL, so that no build is left behind."""
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    return ask


def _interrupt_when_cancelled(
    process: subprocess.Popen[str], cancellation: Cancellation, ended: threading.Event
) -> None:
    while not ended.wait(0.2):
        try:
            cancellation.check()
        except CancelledError:
            process.send_signal(signal.SIGINT)  # Bazel's client passes it on and waits until its actions ended
            ended.wait(_STOP_SECONDS)
            if process.poll() is None:
                process.kill()
            return


def _reasons(output: Sequence[str]) -> str:
    """The lines that say what is wrong: those of Chassis's own tools if there are any, else Bazel's."""
    own = [text for text in output if text.startswith("error:")]
    bazels = [text for text in output if text.startswith(("ERROR:", "FATAL:", "Error"))]
    chosen: list[str] = []
    if own:
        for number, text in enumerate(output):
            if text.startswith("error:"):
                chosen.append(text)
                for more in output[number + 1 : number + 6]:
                    if not more.startswith("  "):
                        break
                    chosen.append(more)
    else:
        chosen = bazels or list(output[-3:])
    return "\n".join(chosen[:_SHOWN_ERRORS]) or "no output"

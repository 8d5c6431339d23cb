"""A build service of this checkout with Bazel, in a process of its own: stopped, killed and started again by tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import IO

from chassis.oci.file_tree import remove_tree
from chassis.service.bazel import Bazel, end_with_parent

# Until Bazel's actions have ended and its server is gone.
_STOP_SECONDS = 120.0


class BuildService:
    """`//chassis/service` below a directory; a context manager that ends it, its Bazel, and what they wrote.

    Attributes:
      cache: a directory for XDG_CACHE_HOME with which `ChassisClient()` works where the service did.
      checkout: the directory of Chassis.
    """

    def __init__(self, root: Path, registry: str, *options: str) -> None:
        self.cache = root / "cache"
        # A runfile is a link into the checkout; the test is marked as one that runs beside it.
        self.checkout = Path(os.environ["CHECKOUT_FILE"]).resolve().parent
        self._state = self.cache / "chassis" / "local"
        self._registry = registry
        self._options = options
        self._port = "0"
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it answers, also after it was started again."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def bazelrc(self) -> Path | None:
        """The options that whoever runs the test has for Bazel, such as a cache."""
        file = self.checkout / "user.bazelrc"
        return file if file.is_file() else None

    def __enter__(self) -> BuildService:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self._remove()

    def start(self) -> None:
        """Starts it, on the port that it had before."""
        command = [sys.executable, "-m", "chassis.service", f"--port={self._port}", f"--state={self._state}"]
        command += [f"--registry={self._registry}", "--buildable=crcmod", *self._options]
        if self.bazelrc:
            command.append(f"--bazelrc={self.bazelrc}")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"CHASSIS_WORKSPACE": str(self.checkout)},
            # A test that runs into its time limit is killed: the service stops then, and its Bazel with it.
            preexec_fn=end_with_parent(),
        )
        said = ""
        for line in _stderr(self._process):
            said += line
            if address := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self._port = address[1]
                return
        raise AssertionError(said)

    def stop(self) -> None:
        """Has it stop as a SIGTERM does; what runs goes on after a start."""
        if self._process:
            self._process.terminate()
        self._wait()

    def kill(self) -> None:
        """Kills it."""
        if self._process:
            self._process.kill()
        self._wait()

    def bazel(self, workspace: Path) -> Bazel:
        """The service's Bazel with its outputs, in another workspace; for use when the service is stopped."""
        options = (f"--bazelrc={self.bazelrc}",) if self.bazelrc else ()
        return Bazel(self.checkout / "bazelw", workspace, (f"--output_base={self._output_base}", *options))

    @property
    def _output_base(self) -> Path:
        return self._state / "slots" / "0" / "output_base"

    def _wait(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_SECONDS)
            raise
        finally:
            _stderr(process).close()

    def _remove(self) -> None:
        """Gigabytes, of which Bazel makes much read-only."""
        if self._output_base.is_dir():
            self.bazel(self._output_base.parent / "workspace").stop()
        remove_tree(self.cache)


def _stderr(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stderr is not None
    return process.stderr

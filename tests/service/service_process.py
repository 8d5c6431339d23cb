"""A build service in a process of its own, for tests that talk to it, kill it and start it again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_STOP_SECONDS = 30.0


class ServiceProcess:
    """`tests.service.quick_service` below a directory; a context manager that ends it."""

    def __init__(
        self, state: Path, token: str = "", environment: Mapping[str, str] | None = None, **options: object
    ) -> None:
        """`options` are those of `quick_service.QuickOptions`."""
        self.state = state
        self._options = json.dumps(options | ({"tokens": token} if token else {}))
        self._environment = environment or {}
        self.port = ""
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> ServiceProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGTERM)

    def start(self) -> None:
        """Starts it, on the port that it had before."""
        self.state.mkdir(parents=True, exist_ok=True)
        with (self.state.parent / "stderr").open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.service.quick_service", str(self.state), self.port, self._options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | {"no_proxy": "127.0.0.1,localhost", **self._environment},
            )
        assert self._process.stdout is not None
        self.port = self._process.stdout.readline().strip()
        assert self.port, (self.state.parent / "stderr").read_text()

    def stop(self, number: int) -> int:
        """Sends a signal, and SIGKILL if that does not end it; returns the exit status."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(number)
        try:
            status = process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_SECONDS)
            raise
        finally:
            assert process.stdout is not None
            process.stdout.close()
        return status

    def open_gate(self) -> None:
        """Lets the slow jobs end."""
        (self.state / "gate").touch()

    def runs(self) -> list[str]:
        """The ids of the jobs that were run, a run each."""
        path = self.state / "runs"
        return path.read_text().split() if path.exists() else []

    def open_files(self) -> int:
        """How many files and connections the process has open."""
        assert self._process is not None
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))

    def resident_bytes(self) -> int:
        """The most memory that the process had so far."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))

"""Real registries, docker-registry and crane's, on free ports of loopback, for tests of publishing.

`CHASSIS_TEST_REGISTRY`, `CHASSIS_NEWER_REGISTRY`, `CHASSIS_TEST_SKOPEO` and the like are the paths of the programs;
Bazel's test rule sets them.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

_START_SECONDS = 20.0
_STOP_SECONDS = 10.0


def program(variable: str) -> str:
    """The path of a program that a test needs.

    Raises:
      LookupError: the variable is not set, or names no file.
    """
    path = os.environ.get(variable, "")
    if not Path(path).is_file():
        raise LookupError(
            f"{variable} must be the path of the program, found {path!r}; run this with bazel test, which sets it"
        )
    return path


def free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class _Server:
    """A program that listens on a free port of loopback; a context manager that ends it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen | None = None

    def _command(self) -> list[str]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait(self) -> None:
        assert self._process is not None
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            try:
                self._process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        raise RuntimeError(f"{self._command()[0]} does not start:\n{self.log()}")

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_SECONDS)

    def processor_seconds(self) -> float:
        """What it has computed so far, to a hundredth of a second."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def log(self) -> str:
        """All that it wrote."""
        return (self.folder / "log").read_text(errors="replace")


class RegistryServer(_Server):
    """A docker-registry that keeps its blobs in a directory.

    `auth` and `tls` are those sections of its configuration, `variable` the one that names the program.
    """

    def __init__(
        self,
        folder: Path,
        auth: dict | None = None,
        tls: dict | None = None,
        variable: str = "CHASSIS_TEST_REGISTRY",
    ) -> None:
        super().__init__(folder)
        self._variable = variable
        http = {"addr": self.address, "secret": "of a test"} | ({"tls": tls} if tls else {})
        config = {
            "version": "0.1",
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
            "http": http,
        } | ({"auth": auth} if auth else {})
        self._config = folder / "config.json"
        self._config.write_text(json.dumps(config))  # JSON is YAML

    def _command(self) -> list[str]:
        return [program(self._variable), "serve", str(self._config)]


class CraneRegistry(_Server):
    """The registry that crane brings: another implementation of the specification."""

    def _command(self) -> list[str]:
        disk = self.folder / "data"
        disk.mkdir(exist_ok=True)
        return [program("CHASSIS_TEST_CRANE"), "registry", "serve", "--address", self.address, "--disk", str(disk)]


def skopeo(folder: Path, *arguments: str) -> str:
    """Runs skopeo with nothing of this machine's configuration; returns its output.

    Raises:
      AssertionError: it fails; its messages are in the text.
    """
    policy = folder / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    registries = folder / "registries.conf"
    registries.write_text("")
    done = subprocess.run(
        [program("CHASSIS_TEST_SKOPEO"), "--policy", str(policy), "--tmpdir", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "CONTAINERS_REGISTRIES_CONF": str(registries),
        },
    )
    assert done.returncode == 0, f"skopeo {' '.join(arguments)}: {done.stderr}"
    return done.stdout

"""A server as a process of its own on the loopback: started, waited for, measured and stopped."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import grpc

from chassis.errors import ChassisError
from chassis.runtime import omi_pb2, omi_pb2_grpc

_START_S = 90.0
_STOP_S = 10.0
_PAUSE = 0.002
_PAGE = os.sysconf("SC_PAGE_SIZE")

Ready = Callable[[int], bool]
"""Whether a server answers on a port."""


class NotReadyError(ChassisError):
    """A server that ended, or did not answer in time; the message ends with what it printed."""


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def python_environment(path: Sequence[str | Path], **more: str) -> dict[str, str]:
    """The environment of a Python that imports from `path`, with the variables `more`."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**variables, "PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONNOUSERSITE": "1", **more}


class Server:
    """A context manager that starts a server and leaves no process of it behind.

    Attributes:
      name: what tables call it.
      port: where it listens.
      seconds: from its start until it was ready.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        ready: Ready,
        *,
        port: int,
        log: Path,
        directory: Path | None = None,
        within: Path | None = None,
    ) -> None:
        """Starts Python with `arguments`; what it prints goes to the file `log`.

        `within` is the file of processes of a control group that it is to be in.
        """
        self.name = name
        self.port = port
        self._log = log
        started = time.perf_counter()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                env=dict(environment),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=None if within is None else lambda: _join(within),
            )
        try:
            self._wait(ready)
        except BaseException:
            self.stop()
            raise
        self.seconds = time.perf_counter() - started

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends it and what it started."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(_STOP_S)

    def terminate(self, timeout: float) -> int:
        """Sends SIGTERM; returns the exit status.

        Raises:
          subprocess.TimeoutExpired: it still runs after `timeout` seconds.
        """
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout)

    def memory(self) -> int:
        """Bytes of its processes; what they share counts once."""
        total = 0
        for pid in _family(self._process.pid):
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += next(int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Pss:"))
        return total

    def resident(self) -> int:
        """Bytes of its processes; what they share counts for each. Quick enough to be asked all the time."""
        return sum(_resident(pid) for pid in _family(self._process.pid))

    def processor_seconds(self) -> float:
        """Of its processes, in user and system mode."""
        ticks = 0
        for pid in _family(self._process.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def _wait(self, ready: Ready) -> None:
        end = time.monotonic() + _START_S
        while time.monotonic() < end and self._process.poll() is None:
            if ready(self.port):
                return
            time.sleep(_PAUSE)
        printed = self._log.read_text(errors="replace")[-2000:]
        raise NotReadyError(f"{self.name} is not ready after {_START_S:g} s\n{printed}")


def http_ready(path: str) -> Ready:
    """Ready once a GET of `path` is answered with 200."""

    def ready(port: int) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ready


def listening(port: int) -> bool:
    """Ready once a connection is accepted."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def omi_ready(port: int) -> bool:
    """Ready once OMI's Status is 200; chassisml's server loads its model when it is asked."""
    if not listening(port):
        return False
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            status = omi_pb2_grpc.ModzyModelStub(channel).Status(omi_pb2.StatusRequest(), timeout=10)
        except grpc.RpcError:
            return False
    return status.status_code == 200


def _join(group: Path) -> None:
    group.write_text(str(os.getpid()))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


def _family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*"):
            try:
                found += map(int, (task / "children").read_text().split())
            except OSError:
                continue
    return found

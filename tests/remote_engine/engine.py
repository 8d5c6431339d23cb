"""An engine of the Remote Execution API on loopback, for tests: BuildGrid, its PostgreSQL, and a worker of buildbox.

    engine --directory=DIRECTORY [--jobs=2]

Starts all of it and writes `ready.json` into the directory: `{"endpoint": "grpc://127.0.0.1:PORT"}`. From then on it
counts what passes between the client and the endpoint (`traffic.json`) and starts the worker anew whenever it ends;
`worker.pid` is its process. SIGTERM or Ctrl-C ends everything. The worker's environment is empty but for a PATH, so an
action that wants a variable of the machine's fails.
"""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from tests.remote_engine.counting_proxy import CountingProxy

_DIRECTORY = flags.DEFINE_string("directory", None, "Where all that it writes lies: an empty directory.", required=True)
_JOBS = flags.DEFINE_integer("jobs", 2, "How many actions the worker runs at a time.", lower_bound=1)

_PROPERTIES = {"ISA": "x86-64", "OSFamily": "linux"}
"""What this worker says it is, as docs/remote.md names it."""

_NOBODY = 65534
_SECONDS_TO_START = 120

_SERVER = """\
server:
  - !channel
    address: "127.0.0.1:{port}"
    insecure-mode: true
authorization:
  method: none
monitoring:
  enabled: false
connections:
  - !sql-connection &sql
    connection-string: {database}
storages:
  - !disk-storage &cas
    path: {directory}/cas
caches:
  - !lru-action-cache &actions
    storage: *cas
    max-cached-refs: 100000
    allow-updates: true
    cache-failed-actions: false
schedulers:
  - !sql-scheduler &scheduler
    sql: *sql
    storage: *cas
    action-cache: *actions
    poll-interval: 0.1
    # A worker that is killed says nothing: what it was doing is given to another after this time.
    bot-session-keepalive-timeout: 20
    session-expiry-timer-interval: 1
    property-set: !dynamic-property-set
      match-property-keys: [{properties}]
    assigners:
      - !priority-age-assigner
        count: 1
        interval: 0.1
instances:
  - name: ''
    services:
      - !action-cache
        cache: *actions
      - !execution
        scheduler: *scheduler
      - !cas
        storage: *cas
      - !bytestream
        storage: *cas
# Fewer, and the worker is refused for good when Bazel asks for much at a time.
thread-pool-size: 500
"""


class Engine:
    """Its processes, in the order in which they start; `stop` ends them in the other."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, jobs: int) -> int:
        """Starts everything; returns the port of its services."""
        database = self._start_database()
        self._run("bgd", [os.environ["BGD"], "migrate", "apply", database])
        port, casd_port = _free_port(), _free_port()
        settings = self._directory / "server.yml"
        names = ", ".join(_PROPERTIES)
        text = _SERVER.format(port=port, database=database, directory=self._directory, properties=names)
        settings.write_text(text)
        self._spawn("server", [os.environ["BGD"], "server", "start", str(settings)])
        self._wait("server", port)
        remote = f"http://127.0.0.1:{port}"
        casd = [_program("BUILDBOX_CASD"), f"--cas-remote={remote}", f"--bind=127.0.0.1:{casd_port}"]
        self._spawn("casd", [*casd, str(self._directory / "worker_cas")], _bare_environment())
        self._wait("casd", casd_port)
        self._worker = [
            *(_program("BUILDBOX_WORKER"), f"--bots-remote={remote}", f"--cas-remote=http://127.0.0.1:{casd_port}"),
            *("--instance=", f"--buildbox-run={_program('BUILDBOX_RUN')}", "--runner-arg=--staging-mode=copy-or-link"),
            *(f"--platform={name}={value}" for name, value in _PROPERTIES.items()),
            *(f"--concurrent-jobs={jobs}", "worker"),
        ]
        self._start_worker()
        return port

    def watch(self, stopped: threading.Event) -> None:
        """Until `stopped`: another worker for one that ends. Anything else that ends is an error."""
        while not stopped.wait(0.2):
            for name, process in self._processes:
                if process.poll() is None:
                    continue
                if name != "worker":
                    raise ChassisError(f"{name} ended with status {process.returncode}: {self._log(name)}")
                self._processes.remove((name, process))
                self._start_worker()
                break

    def stop(self) -> None:
        for _, process in reversed(self._processes):
            process.send_signal(signal.SIGINT)  # PostgreSQL then does not wait for clients
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start_worker(self) -> None:
        worker = self._spawn("worker", self._worker, _bare_environment())
        (self._directory / "worker.pid").write_text(f"{worker.pid}\n")

    def _start_database(self) -> str:
        """PostgreSQL, reached by a socket alone; returns how BuildGrid is told of it."""
        programs = self._programs(Path(os.environ["POSTGRESQL_ROOT"]).resolve(), "usr/lib/postgresql/15")
        data, place = self._directory / "database", self._directory / "socket"
        place.mkdir()
        options = [f"--pgdata={data}", "--auth=trust", "--username=engine", "--no-sync"]
        self._run("initdb", [*_not_root(), str(programs / "initdb"), *options])
        options = ["-k", str(place), "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"]
        self._spawn("postgres", [*_not_root(), str(programs / "postgres"), "-D", str(data), *options])
        self._wait("postgres", place / ".s.PGSQL.5432")
        return f"postgresql+psycopg2:///postgres?host={place}&user=engine"

    def _programs(self, root: Path, home: str) -> Path:
        """PostgreSQL's programs, which find each other and their files by where they are, on their own libraries."""
        directory = self._directory / "postgresql"
        programs = directory / home / "bin"
        programs.mkdir(parents=True)
        (directory / home / "lib").symlink_to(root / home / "lib")
        (directory / "usr/share").symlink_to(root / "usr/share")
        libraries = f"{root}/lib/x86_64-linux-gnu:{root}/usr/lib/x86_64-linux-gnu"
        for name in ("initdb", "postgres"):
            program = programs / name
            program.write_text(
                f'#!/bin/sh\nexec {root}/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 --argv0 "$0" '
                f'--library-path {libraries} {root}/{home}/bin/{name} "$@"\n'
            )
            program.chmod(0o755)
        return programs

    def _run(self, name: str, command: Sequence[str]) -> None:
        with (self._directory / f"{name}.log").open("ab") as log:
            if status := subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode:
                raise ChassisError(f"{name} failed with status {status}: {self._log(name)}")

    def _spawn(
        self, name: str, command: Sequence[str], environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with (self._directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        self._processes.append((name, process))
        return process

    def _wait(self, name: str, place: int | Path) -> None:
        """Until `name`, the last that was started, accepts connections."""
        end = time.monotonic() + _SECONDS_TO_START
        while not _accepts(place):
            if self._processes[-1][1].poll() is not None:
                raise ChassisError(f"{name} ended before it was ready: {self._log(name)}")
            if time.monotonic() > end:
                raise ChassisError(f"{name} was not ready after {_SECONDS_TO_START} s: {self._log(name)}")
            time.sleep(0.05)

    def _log(self, name: str) -> str:
        return (self._directory / f"{name}.log").read_text(errors="replace")[-2000:]


def _not_root() -> list[str]:
    """PostgreSQL refuses to run as root, by the number that it sees."""
    if os.getuid():
        return []
    pwd.getpwuid(_NOBODY)  # and wants it to have a name
    return ["unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}"]


def _program(variable: str) -> str:
    """A program where it lies for good: `bazel-bin` leads elsewhere after the next build."""
    return str(Path(os.environ[variable]).resolve())


def _bare_environment() -> dict[str, str]:
    return {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _accepts(place: int | Path) -> bool:
    is_socket = isinstance(place, Path)
    with socket.socket(socket.AF_UNIX if is_socket else socket.AF_INET) as connection:
        return connection.connect_ex(str(place) if is_socket else ("127.0.0.1", place)) == 0


def main(argv: Sequence[str]) -> None:
    """Runs the engine until it is told to stop."""
    del argv
    directory = Path(_DIRECTORY.value).resolve()
    engine, stopped = Engine(directory), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        port = engine.start(_JOBS.value)
        with CountingProxy(port, directory / "traffic.json") as proxy:
            ready = directory / "ready.json.part"
            ready.write_text(json.dumps({"endpoint": f"grpc://127.0.0.1:{proxy.port}"}) + "\n")
            ready.rename(directory / "ready.json")
            print(f"ready: grpc://127.0.0.1:{proxy.port}", file=sys.stderr, flush=True)
            engine.watch(stopped)
    finally:
        engine.stop()


if __name__ == "__main__":
    run_main(main)

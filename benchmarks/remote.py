"""What an image of many layers costs on an engine of the Remote Execution API, against this machine by itself.

In a package that it makes for itself, with an output base of its own and //tests/remote_engine on loopback, as many
actions at a time as here: each round builds here without a cache, on an empty engine, and from what the engine has,
every time after `bazel clean` in a warm server. Processors are those of Bazel's server, its workers and the engine.

    ./bazelw run //benchmarks:remote
"""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from benchmarks.many_wheels import FORTY, MORE, build_file
from benchmarks.processors import processor_seconds
from chassis.command_line.run import run_main
from chassis.errors import ChassisError

_RUNS = flags.DEFINE_integer("runs", 1, "Rounds, each on an engine that has nothing.", lower_bound=1)
_JOBS = flags.DEFINE_integer("jobs", 2, "Actions at a time, here and there.", lower_bound=1)
_PLACE = flags.DEFINE_string("place", "/var/tmp", "A disk with 4 GB to spare; not /tmp, which sandboxes hide.")

_LIMIT_S = 3600
_PACKAGE = "remote_benchmark"
_IMAGE = f"//{_PACKAGE}:image"
_MODEL = 'def predict(inputs):\n    return [{}, inputs["input"]]\n'
_DID = re.compile(r"INFO: (\d+ process.*)\.")
_LOCAL, _ANALYSIS, _EXECUTED, _CACHED, _DEFAULT = (
    "here, no cache",
    "of each, loading and analysis",
    "on the engine, executed",
    "on the engine, cached",
    "the same, with the layout to the client",
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of a build and of processors, bytes that came from the engine, and Bazel's count of what it did."""

    wall: float
    processors: float
    received: int
    did: str


@dataclass(frozen=True, slots=True)
class Engine:
    """One that is running, with all that it writes in `directory`."""

    process: int
    directory: Path
    endpoint: str

    def received(self) -> int:
        """Bytes that its clients got so far."""
        time.sleep(0.5)  # the proxy writes its totals ten times a second
        return int(json.loads((self.directory / "traffic.json").read_text())["received"])


@contextmanager
def engine(directory: Path) -> Iterator[Engine]:
    """Starts one in an empty directory, and ends it."""
    directory.mkdir()
    program = [os.environ["REMOTE_ENGINE"], f"--directory={directory}", f"--jobs={_JOBS.value}"]
    ready = directory / "ready.json"
    with (directory / "engine.log").open("wb") as log, subprocess.Popen(program, stderr=log) as process:
        try:
            while not ready.exists():
                if process.poll() is not None:
                    raise ChassisError(f"the engine: {(directory / 'engine.log').read_text()[-2000:]}")
                time.sleep(0.1)
            yield Engine(process.pid, directory, json.loads(ready.read_text())["endpoint"])
        finally:
            process.send_signal(signal.SIGTERM)


class Builder:
    """This workspace's Bazel with an output base of its own, which sees the measured package as the workspace's."""

    def __init__(self, workspace: Path, place: Path) -> None:
        self._workspace = workspace
        self._program = [str(workspace / "bazelw"), f"--output_base={place}/output", "--max_idle_secs=600"]
        self._flags = [f"--package_path=%workspace%:{place}", "--disk_cache=", "--symlink_prefix=/", "--curses=no"]

    def build(self, *options: str, engine: Engine | None = None) -> Cost:
        """Builds the image anew, here or on an engine."""
        self._bazel("clean", "--symlink_prefix=/")
        remote = ["--config=remote", f"--remote_executor={engine.endpoint}"] if engine else [f"--jobs={_JOBS.value}"]
        used, received = self._processors(engine), engine.received() if engine else 0
        start = time.perf_counter()
        ended = self._bazel("build", *self._flags, *remote, *options, "--color=no", _IMAGE)
        wall = time.perf_counter() - start
        came = engine.received() - received if engine else 0
        return Cost(wall, self._processors(engine) - used, came, "".join(_DID.findall(ended.stderr)))

    def stop(self) -> None:
        """Ends the server."""
        self._bazel("shutdown")

    def _processors(self, engine: Engine | None) -> float:
        server = int(self._bazel("info", "server_pid").stdout.strip())
        return processor_seconds(server) + (processor_seconds(engine.process) if engine else 0.0)

    def _bazel(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        own = ("PYTHON", "LD_LIBRARY_PATH", "RUNFILES")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        program = [*self._program, command, *arguments]
        ended = subprocess.run(
            program, cwd=self._workspace, env=environment, capture_output=True, text=True, timeout=_LIMIT_S
        )
        if ended.returncode:
            raise ChassisError(f"bazel {command}: {ended.stderr[-3000:]}")
        return ended


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    workspace = Path(os.environ["BUILD_WORKSPACE_DIRECTORY"])
    with tempfile.TemporaryDirectory(dir=_PLACE.value, prefix="chassis-remote-") as directory:
        place = Path(directory)
        package = place / _PACKAGE
        package.mkdir()
        (package / "BUILD.bazel").write_text(build_file((*FORTY, *MORE)))
        (package / "model.py").write_text(_MODEL.format(0))
        builder = Builder(workspace, place)
        try:
            print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {_JOBS.value} actions at a time", flush=True)
            builder.build("--nobuild")  # which fetches
            _report([_round(builder, place / f"engine{number}") for number in range(_RUNS.value)])
        finally:
            builder.stop()
            # A repository's directories are not writable, and what is to be removed has to be.
            subprocess.run(["chmod", "-R", "u+w", directory], check=True)
    print(f"load at the end {os.getloadavg()[0]:.1f}")


def _round(builder: Builder, directory: Path) -> dict[str, Cost]:
    with engine(directory) as there:
        minimal = "--remote_download_minimal"
        return {
            _ANALYSIS: builder.build("--nobuild"),
            _LOCAL: builder.build(),
            _EXECUTED: builder.build(minimal, engine=there),
            _CACHED: builder.build(minimal, engine=there),
            _DEFAULT: builder.build(engine=there),
        }


def _report(rounds: Sequence[dict[str, Cost]]) -> None:
    ratios = defaultdict(list)
    for costs in rounds:
        for name, cost in costs.items():
            ratios[name].append((cost.wall / costs[_LOCAL].wall, cost.processors / costs[_LOCAL].processors))
    for name in rounds[0]:
        costs_of = [costs[name] for costs in rounds]
        wall, processors = (statistics.median(ratio[part] for ratio in ratios[name]) for part in (0, 1))
        print(
            f"{name:40}{statistics.median(cost.wall for cost in costs_of):8.1f} s ({wall:.2f} of here)"
            f"{statistics.median(cost.processors for cost in costs_of):8.1f} s of processors ({processors:.2f})"
            f"{max(cost.received for cost in costs_of) / 1e6:8.2f} MB to the client  {costs_of[-1].did}",
            flush=True,
        )


if __name__ == "__main__":
    run_main(main)

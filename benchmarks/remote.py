"""What an image of many layers costs on an engine of the Remote Execution API, against this machine by itself.

In a package that it makes for itself, with an output base of its own and //tests/remote_engine on loopback, as many
actions at a time as here: each round builds here into an empty disk cache, from that, on an empty engine, and from what
the engine has, every time after `bazel clean` in a warm server. Processors are those of Bazel's server, its workers and
the engine. Seconds of execution are Bazel's own count of what comes after loading and analysis, which are part of every
row after a `bazel clean`. Before the rows: the calls of a cached build, and what the engine takes to answer those to a
client that does nothing else, its own part.

    ./bazelw run //benchmarks:remote
"""

from __future__ import annotations

import json
import os
import re
import shutil
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
from benchmarks.remote_calls import Call, ask_again, read_calls
from chassis.command_line.run import run_main
from chassis.errors import ChassisError

_RUNS = flags.DEFINE_integer("runs", 1, "Rounds, each on an engine that has nothing.", lower_bound=1)
_JOBS = flags.DEFINE_integer("jobs", 2, "Actions at a time, here and there.", lower_bound=1)
_PLACE = flags.DEFINE_string("place", "/var/tmp", "A disk with 4 GB to spare; not /tmp, which sandboxes hide.")

_FLAGS = flags.DEFINE_multi_string("bazel", [], "A flag of Bazel's for the builds with the engine, such as one to try.")

_LIMIT_S = 3600
_AT_A_TIME = 50
"""Calls in flight, as `--config=remote` has jobs."""
_PACKAGE = "remote_benchmark"
_IMAGE = f"//{_PACKAGE}:image"
_MODEL = 'def predict(inputs):\n    return [{}, inputs["input"]]\n'
_DID = re.compile(r"INFO: (\d+ process.*)\.")
_LOCAL, _DISK, _ANALYSIS, _EXECUTED, _CACHED, _DEFAULT = (
    "here, into an empty disk cache",
    "here, from the disk cache",
    "of each, loading and analysis",
    "on the engine, executed",
    "on the engine, cached",
    "the same, with the layout to the client",
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of a build, of its execution and of processors, bytes that came from the engine, and what Bazel did."""

    wall: float
    execution: float
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
        self._workspace, self.calls, self._events = workspace, place / "calls", place / "events"
        self._program = [str(workspace / "bazelw"), f"--output_base={place}/output", "--max_idle_secs=600"]
        self._flags = [f"--package_path=%workspace%:{place}", "--symlink_prefix=/", "--curses=no", "--color=no"]
        self._flags += [f"--build_event_json_file={self._events}"]

    def build(self, *options: str, engine: Engine | None = None, disk_cache: Path | str = "") -> Cost:
        """Builds the image anew, here or on an engine."""
        self._bazel("clean", "--symlink_prefix=/")
        remote = [f"--disk_cache={disk_cache}"]
        if engine:
            self.calls.unlink(missing_ok=True)
            remote += ["--config=remote", f"--remote_executor={engine.endpoint}", f"--remote_grpc_log={self.calls}"]
            remote += _FLAGS.value
        else:
            remote += [f"--jobs={_JOBS.value}"]
        used, received = self._processors(engine), engine.received() if engine else 0
        start = time.perf_counter()
        ended = self._bazel("build", *self._flags, *remote, *options, _IMAGE)
        wall = time.perf_counter() - start
        came = engine.received() - received if engine else 0
        processors = self._processors(engine) - used
        return Cost(wall, self._execution(), processors, came, "".join(_DID.findall(ended.stderr)))

    def stop(self) -> None:
        """Ends the server."""
        self._bazel("shutdown")

    def _execution(self) -> float:
        """Seconds that the last build spent on actions."""
        events = map(json.loads, self._events.read_text().splitlines())
        timings = [event["buildMetrics"]["timingMetrics"] for event in events if "buildMetrics" in event]
        if not timings:
            raise ChassisError(f"{self._events}: Bazel wrote no buildMetrics there")
        return sum(int(timing.get("executionPhaseTimeInMs", 0)) for timing in timings) / 1000

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
    minimal, disk_cache = "--remote_download_minimal", directory.with_name(f"{directory.name}_disk")
    costs = {
        _ANALYSIS: builder.build("--nobuild"),
        _LOCAL: builder.build(disk_cache=disk_cache),
        _DISK: builder.build(disk_cache=disk_cache),
    }
    shutil.rmtree(disk_cache)
    with engine(directory) as there:
        costs[_EXECUTED] = builder.build(minimal, engine=there)
        costs[_CACHED] = builder.build(minimal, engine=there)
        _report_calls(read_calls(builder.calls), there.endpoint.removeprefix("grpc://"), costs[_CACHED])
        costs[_DEFAULT] = builder.build(engine=there)
    return costs


def _report_calls(calls: Sequence[Call], address: str, cost: Cost) -> None:
    """What a cached build asked, and the floor that the engine sets for it."""
    by_name = defaultdict(list)
    for call in calls:
        by_name[call.name].append(call.seconds)
    for name, seconds in sorted(by_name.items()):
        median, most = statistics.median(seconds), max(seconds)
        print(f"  cached: {len(seconds):5} x {name:46} {sum(seconds):8.2f} s, median {median:.3f}, most {most:.2f}")
    for at_a_time in (1, _AT_A_TIME):
        count, alone = ask_again(calls, address, at_a_time)
        print(
            f"  the same {count} that read, {at_a_time} at a time, from a client that does nothing else: {alone:.2f} s;"
            f" execution was {cost.execution:.2f} s, {cost.execution / alone:.1f} of that",
            flush=True,
        )


def _report(rounds: Sequence[dict[str, Cost]]) -> None:
    for name in rounds[0]:
        costs_of = [costs[name] for costs in rounds]
        here = [costs[_LOCAL] for costs in rounds]
        print(f"{name:40}", end="")
        for part in ("wall", "execution", "processors"):
            seconds = [getattr(cost, part) for cost in costs_of]
            ratio = statistics.median(mine / getattr(cost, part) for mine, cost in zip(seconds, here, strict=True))
            print(f"{statistics.median(seconds):8.1f} s {part} ({ratio:.2f})", end="")
        print(f"{max(cost.received for cost in costs_of) / 1e6:8.2f} MB to the client  {costs_of[-1].did}", flush=True)


if __name__ == "__main__":
    run_main(main)

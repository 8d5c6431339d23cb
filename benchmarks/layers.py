"""How fast wheels and Debian packages become layers, against what one would use instead, side by side in one run.

For each wheel: this project's tool as the persistent worker that Bazel asks for every action; the same started for one
wheel alone, as when Bazel has no workers; the floor (inflate with ISA-L, one SHA-256 over the content, read and write
the compressed bytes, one thread); and Debian's archivers from an unpacked tree, the unpacking counted. Each is measured
once a round, so that what else the machine does falls on all of them; times are medians of `--runs` rounds, and ratios
are what to look at. The processor's time, of all threads and processes, is given beside, as it depends less on what
else runs. Then the base and 5,000 small files, which are compressed here, with one compressor and with others.

    ./bazelw run //benchmarks:layers
    ./bazelw run //benchmarks:layers -- --wheel numpy-….whl --runs 9
    ./bazelw run //benchmarks:layers -- --only_compressors
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from absl import flags
from isal import isal_zlib

from benchmarks.compressors import report_base, report_small_files
from chassis.command_line import persistent_worker
from chassis.command_line.run import run_main
from chassis.oci.layer.wheel_unpacking import unpack
from chassis.oci.layer.zip_index import ZipIndex

_WHEELS = flags.DEFINE_multi_string("wheel", [], "A wheel to measure instead of those of tests/interop/wheels.")
_DEBS = flags.DEFINE_bool("debs", True, "Measure the default base of amd64 too.")
_ONLY_COMPRESSORS = flags.DEFINE_bool("only_compressors", False, "Leave out what is spliced, wheels, and archivers.")
_RUNS = flags.DEFINE_integer("runs", 5, "Rounds, in each of which everything is measured once.", lower_bound=1)

_LIMIT_S = 1800
_CHECKED = "CHECKED_WHEEL_"
_ARCHIVERS = {
    "bsdtar --gzip": '"$ARCHIVER_BSDTAR" --gzip -cf out.tgz -C tree .',
    "tar | pigz": '"$ARCHIVER_TAR" -cf - -C tree . | "$ARCHIVER_PIGZ" -p2 > out.tgz',
    "tar | igzip -1": '"$ARCHIVER_TAR" -cf - -C tree . | "$ARCHIVER_IGZIP" -1 -c > out.tgz',
    "tar | zstd -3": '"$ARCHIVER_TAR" -cf - -C tree . | "$ARCHIVER_ZSTD" -3 -q -c > out.tgz',
}
_FLOOR, _WORKER, _ALONE = "floor", "wheel_layer, a worker", "wheel_layer, started"


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on the clock and of the processor."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Way:
    """A way to make a layer, and the file that it makes; `clean` is called before and not timed."""

    act: Callable[[], object]
    made: Path
    clean: Callable[[], object] = tuple


class Worker:
    """The tool as Bazel's worker; a context manager that ends it."""

    def __init__(self) -> None:
        command = [os.environ["WHEEL_LAYER"], persistent_worker.FLAG]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=_LIMIT_S)

    def ask(self, arguments: Sequence[str]) -> None:
        """Has one action done."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"arguments": arguments}))
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if answer["exitCode"]:
            raise RuntimeError(answer["output"])

    def processor_seconds(self) -> float:
        """What it has computed so far, to a hundredth of a second."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(argv: Sequence[str]) -> None:
    """Measures and prints a table for each wheel, then the base."""
    del argv
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, median of {_RUNS.value} rounds")
    wheels = [Path(wheel).absolute() for wheel in _WHEELS.value] or [
        Path(path) for name, path in sorted(os.environ.items()) if name.startswith(_CHECKED)
    ]
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        for wheel in () if _ONLY_COMPRESSORS.value else wheels:
            with Worker() as worker:
                _report_wheel(wheel, worker, place)
        if _DEBS.value:
            debs = sorted(Path(os.environ["A_PACKAGE_OF_THE_BASE"]).parent.glob("*.deb"))
            _report_base(debs, place)
            report_base(debs, place, _RUNS.value)
        report_small_files(wheels, place, _RUNS.value)
    print(f"\nload at the end {os.getloadavg()[0]:.1f}")


def _report_wheel(wheel: Path, worker: Worker, place: Path) -> None:
    with ZipIndex(wheel) as index:
        size, count = sum(member.size for member in index.members), len(index.members)
    stored = wheel.stat().st_size
    print(f"\n{wheel.name}: {count} files, {size / 1e6:.1f} MB, wheel {stored / 1e6:.1f} MB")
    ways = {
        _FLOOR: Way(lambda: _floor(wheel, place / "floor"), place / "floor"),
        _WORKER: Way(lambda: worker.ask([f"--wheel={wheel}", *_outputs(place)]), place / "blob"),
        _ALONE: Way(lambda: _start("wheel_layer", [f"--wheel={wheel}"], place), place / "blob"),
    } | {
        name: Way(
            act=lambda command=command: _archive(wheel, command, place),  # type: ignore[misc]
            made=place / "out.tgz",
            clean=lambda: shutil.rmtree(place / "tree", ignore_errors=True),
        )
        for name, command in _ARCHIVERS.items()
    }
    worker.ask([f"--wheel={wheel}", *_outputs(place)])  # so that it has started
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    sizes: dict[str, int] = {}
    for _ in range(_RUNS.value):
        for name, way in ways.items():
            way.clean()
            os.sync()  # what the one before left to write is not this one's
            costs[name].append(_cost(way.act, worker))
            sizes[name] = way.made.stat().st_size
    medians = {name: _median(rounds) for name, rounds in costs.items()}
    floor, tool, alone = medians[_FLOOR], medians[_WORKER], medians[_ALONE]
    print("  ".ljust(24) + "       s   cpu s   MB/s  /floor  /tool  cpu/floor  cpu/tool    size")
    for name, cost in medians.items():
        print(
            f"  {name:22}{cost.wall:8.3f}{cost.cpu:8.3f}{size / cost.wall / 1e6:7.0f}{cost.wall / floor.wall:8.2f}"
            f"{cost.wall / tool.wall:7.2f}{cost.cpu / floor.cpu:11.2f}{cost.cpu / tool.cpu:10.2f}"
            f"{sizes[name] / stored - 1:+8.2%}"
        )
    bsdtar, memory = medians["bsdtar --gzip"].wall, _most_memory(wheel, place)
    print(
        f"  bsdtar takes {bsdtar / tool.wall:.1f} times as long as the worker, {bsdtar / alone.wall:.1f} times as the "
        f"tool started for it; most memory of the tool {memory} MB"
    )


def _report_base(debs: Sequence[Path], place: Path) -> None:
    arguments = [*(f"--deb={deb}" for deb in debs), "--architecture=amd64"]
    costs = []
    for _ in range(_RUNS.value):
        os.sync()
        costs.append(_cost(lambda: _start("base_layer", arguments, place)))
    cost = _median(costs)
    size = (place / "blob").stat().st_size
    print(f"\nbase of {len(debs)} packages: {cost.wall:.2f} s, {cost.cpu:.2f} s of the processor, {size / 1e6:.1f} MB")


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(statistics.median(cost.wall for cost in costs), statistics.median(cost.cpu for cost in costs))


def _cost(act: Callable[[], object], worker: Worker | None = None) -> Cost:
    cpu, start = _processor_seconds(worker), time.perf_counter()
    act()
    wall = time.perf_counter() - start
    return Cost(wall, _processor_seconds(worker) - cpu)


def _processor_seconds(worker: Worker | None) -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) + (worker.processor_seconds() if worker else 0)


def _floor(wheel: Path, out: Path) -> None:
    state = hashlib.sha256()
    with ZipIndex(wheel) as index, out.open("wb") as written:
        for member in index.members:
            index.stream.seek(member.offset)
            inflater = isal_zlib.decompressobj(-15)
            left = member.stored_size
            while left:
                stored = index.stream.read(min(left, 1 << 20))
                left -= len(stored)
                written.write(stored)
                state.update(inflater.decompress(stored) if member.deflated else stored)


def _start(tool: str, arguments: Sequence[str], place: Path) -> None:
    """Runs a tool as the build's actions start it if there are no workers."""
    subprocess.run([os.environ[tool.upper()], *arguments, *_outputs(place)], check=True, timeout=_LIMIT_S)


def _outputs(place: Path) -> list[str]:
    return [f"--{output}={place / output}" for output in ("blob", "descriptor", "files")]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _most_memory(wheel: Path, place: Path) -> int:
    """The tool's greatest resident set in MB; `getrusage` would count the process that started it too."""
    code = (
        "import atexit, runpy, sys\n"
        "lines = lambda: open('/proc/self/status').read().splitlines()\n"
        "atexit.register(lambda: print(*[line.split()[1] for line in lines() if line.startswith('VmHWM')]))\n"
        "runpy.run_module('chassis.tools.wheel_layer', run_name='__main__', alter_sys=True)\n"
    )
    command = [sys.executable, "-c", code, f"--wheel={wheel}", *_outputs(place)]
    ran = subprocess.run(command, check=True, env=_environment(), timeout=_LIMIT_S, stdout=subprocess.PIPE, text=True)
    return int(ran.stdout) // 1024


def _archive(wheel: Path, command: str, place: Path) -> None:
    unpack(wheel, place / "tree")
    subprocess.run(["sh", "-c", command], cwd=place, check=True, timeout=_LIMIT_S)


if __name__ == "__main__":
    run_main(main)

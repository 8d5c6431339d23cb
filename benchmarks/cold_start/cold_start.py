"""How long an image takes to start, from its own root file system, with bytecode in its layers and without.

    ./bazelw run //benchmarks/cold_start

Both images are unpacked; then their servers are started by turns, each until it serves, and ended. Nothing but the
first, unmeasured round reads the files from the disk. CPU seconds are those of all the server's threads and processes.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from chassis.image_test.omi_client import OmiClient
from chassis.image_test.sandbox import Launch, SandboxedServer, temporary_directory
from chassis.oci.file_tree import remove_tree
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.rootfs import Viewer, unpack

_ROUNDS = flags.DEFINE_integer("rounds", 5, "Starts of each image.", lower_bound=1)

_VARIANTS = ("with_bytecode", "without_bytecode")
_READY_S = 300.0
_END_S = 30.0


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds until the server serves, and of a processor until it has ended."""

    wall: float
    cpu: float


def main(argv: Sequence[str]) -> None:
    """Prints medians, ratios and sizes."""
    del argv
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs", flush=True)
    folder = temporary_directory()
    try:
        launches = {name: _launch(name, folder) for name in _VARIANTS}
        starts: dict[str, list[Start]] = {name: [] for name in _VARIANTS}
        for number in range(_ROUNDS.value + 1):
            for name, launch in launches.items():
                start = _start(launch, folder / "log")
                if number:
                    starts[name].append(start)
                    print(f"round {number}: {name} {start.wall:.2f} s, {start.cpu:.2f} s of a CPU", flush=True)
    finally:
        remove_tree(folder)
    _report(starts)


def _report(starts: dict[str, list[Start]]) -> None:
    print(f"\n{'':18}{'MB to pull':>12}{'s to start':>12}{'CPU s':>8}")
    for name in _VARIANTS:
        wall, cpu = (statistics.median(getattr(start, field) for start in starts[name]) for field in ("wall", "cpu"))
        print(f"{name:18}{_size(name) / 1e6:12.1f}{wall:12.2f}{cpu:8.2f}")
    for field, what in (("wall", "time to start"), ("cpu", "CPU")):
        ratios = [
            getattr(one, field) / getattr(other, field)
            for one, other in zip(*(starts[name] for name in _VARIANTS), strict=True)
        ]
        print(f"{what}, with to without: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"load after: {os.getloadavg()[0]:.1f}")


def _layout(name: str) -> LayoutReader:
    return LayoutReader(Path(os.environ[name.upper()]))


def _size(name: str) -> int:
    manifest, _ = _layout(name).image()
    return sum(blob.size for blob in manifest.blobs)


def _launch(name: str, folder: Path) -> Launch:
    image = unpack(_layout(name), folder / name, viewer=Viewer(65532, 65532))
    return Launch(image, Path(os.environ["BWRAP"]))


def _start(launch: Launch, log: Path) -> Start:
    log.write_bytes(b"")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    environment = {"PSC_MODEL_PORT": str(port), "HTTP_PORT": "0"}
    with SandboxedServer(launch, environment, log, own_proc=False) as server, OmiClient(port) as client:
        failure = client.wait_until_serving(_READY_S, lambda wait: server.wait(wait) is not None)
        wall = time.monotonic() - begin
        if failure:
            raise ChassisError(f"{failure}\n{server.log()}")
        client.shutdown(_END_S)
        if server.wait(_END_S) is None:
            os.killpg(server.process.pid, signal.SIGKILL)
            raise ChassisError(f"the server still runs {_END_S:g} s after Shutdown")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Start(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


if __name__ == "__main__":
    run_main(main)

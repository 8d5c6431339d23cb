"""How long an image of each Python takes to start, against that Python with the model's dependencies and pickle alone.

    ./bazelw run //benchmarks/cold_start:pythons

Each image of //model is unpacked. Then its server, until it is ready over HTTP with all its front ends, and its Python,
until it has imported NumPy and loaded the pickle, are started by turns in the same sandbox.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from benchmarks.processors import processor_seconds
from benchmarks.servers.running import Ready, free_port, http_ready, listening
from chassis.command_line.run import run_main
from chassis.declaration.pythons import GIVEN_PYTHONS
from chassis.errors import ChassisError
from chassis.image_test.server import Launch, SandboxedServer, temporary_directory
from chassis.oci.file_tree import remove_tree
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.rootfs import Viewer, unpack
from chassis.sandbox.ladder import Tools, climb

_ROUNDS = flags.DEFINE_integer("rounds", 15, "Starts of each.", lower_bound=1)

_READY_S = 120.0
_PAUSE_S = 0.001
_FLOOR = """
import os, socket, sys
sys.path.append(os.environ["CHASSIS_SERVER_PATH"])
import numpy
import cloudpickle
with open("/app/model/model.pkl", "rb") as file:
    model = cloudpickle.load(file)
listener = socket.create_server(("127.0.0.1", int(os.environ["HTTP_PORT"])))
while True:
    listener.accept()[0].close()
"""

Start = tuple[float, float]
"""Seconds until it is ready, and of processors until then."""


def main(argv: Sequence[str]) -> None:
    """Prints a row for each Python: medians, and the ratios of the starts of each round."""
    del argv
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs", flush=True)
    folder = temporary_directory()
    try:
        for python in GIVEN_PYTHONS:
            server = _launch(python, folder)
            entry = server.image.config.entrypoint[0]
            config = dataclasses.replace(server.image.config, entrypoint=(entry,), command=("-c", _FLOOR))
            floor = dataclasses.replace(server, image=dataclasses.replace(server.image, config=config))
            starts = [
                (
                    _start(floor, folder / "log", listening),
                    _start(server, folder / "log", http_ready("/v2/health/ready")),
                )
                for _ in range(_ROUNDS.value + 1)
            ]
            _report(python, starts[1:])
    finally:
        remove_tree(folder)
    print(f"load after: {os.getloadavg()[0]:.1f}")


def _report(python: str, starts: list[tuple[Start, Start]]) -> None:
    cells = []
    for kind in (0, 1):
        floor, own = (statistics.median(start[which][kind] for start in starts) for which in (0, 1))
        ratio = statistics.median(start[1][kind] / start[0][kind] for start in starts)
        cells.append(f"{floor * 1e3:6.0f} ms alone, {own * 1e3:6.0f} ms served: {ratio:.2f}")
    print(f"Python {python}: {cells[0]}; of processors {cells[1]}", flush=True)


def _launch(python: str, folder: Path) -> Launch:
    layout = LayoutReader(Path(os.environ["IMAGE_" + python.replace(".", "")]))
    image = unpack(layout, folder / python, viewer=Viewer(65532, 65532))
    sandbox = climb(Tools(Path(os.environ["BWRAP"]), Path(os.environ["PROOT"])))
    return Launch(image, dataclasses.replace(sandbox, own_proc=False))


def _start(launch: Launch, log: Path, ready: Ready) -> Start:
    log.write_bytes(b"")
    ports = free_port(), free_port()
    environment = {"PSC_MODEL_PORT": str(ports[0]), "HTTP_PORT": str(ports[1])}
    begin = time.perf_counter()
    with SandboxedServer(launch, environment, log, ports) as server:
        while not ready(ports[1]):
            if server.wait(0) is not None or time.perf_counter() - begin > _READY_S:
                raise ChassisError(f"it is not ready\n{server.log()}")
            time.sleep(_PAUSE_S)
        return time.perf_counter() - begin, processor_seconds(server.process.pid)


if __name__ == "__main__":
    run_main(main)

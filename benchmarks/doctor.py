"""How long the doctor takes on an image, from nothing and from the facts of its layers, and how much memory.

As in a build: one process for each layer, two at a time, then one for the image. Beside it, to tell the machine, one
process that only inflates every layer. Medians of `--runs`; CPU seconds tell what a busy machine hides.

    ./bazelw run //benchmarks:doctor [-- --image LAYOUT --accelerator cuda]
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from absl import flags
from isal import igzip

from chassis.command_line.run import run_main
from chassis.oci.descriptor import LayerDescriptor, Origin
from chassis.oci.layout_reader import ImageConfig, LayoutReader, Manifest

_IMAGE = flags.DEFINE_string("image", os.environ["IMAGE"], "An OCI layout directory that this project built.")
_ACCELERATOR = flags.DEFINE_string("accelerator", "none", "What the image computes with: none or cuda.")
_PROCESSES = flags.DEFINE_integer("processes", 2, "Layers that are looked at side by side.", lower_bound=1)
_RUNS = flags.DEFINE_integer("runs", 5, "Times that each is measured.", lower_bound=1)

_LIMIT_S = 300
_READ_BYTES = 1 << 20


def main(argv: Sequence[str]) -> None:
    """Measures and prints a line for each."""
    del argv
    reader = LayoutReader(Path(_IMAGE.value))
    manifest, config = reader.image()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        commands = _layer_commands(reader, manifest, directory)
        spec = _specification(config, len(commands), directory)
        size = sum(layer.size for layer in manifest.blobs[1:])
        print(f"{len(commands)} layers, {size / 1e6:.1f} MB compressed")
        inflating = _median(lambda: _inflate(reader, manifest))
        _show("only inflating them, one process", inflating)
        facts = _median(lambda: _run_all(commands))
        _show(f"facts of every layer, {_PROCESSES.value} processes", facts, inflating)
        report = directory / "report.txt"
        examining = _median(lambda: _run(["doctor", f"--spec={spec}", f"--report={report}"]))
        _show("examining the image", examining)
        _show("both: nothing cached", facts + examining, inflating)
        command = ["doctor", f"--image={_IMAGE.value}", f"--accelerator={_ACCELERATOR.value}", f"--report={report}"]
        _show("the layout by hand, in one command", _median(lambda: _run(command)), inflating)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
        print(f"{'peak memory of one process':44} {peak:6.0f} MB")


def _layer_commands(reader: LayoutReader, manifest: Manifest, directory: Path) -> list[list[str]]:
    """The largest first, as their number leaves little to wait for at the end."""
    found = []
    for number, layer in enumerate(manifest.blobs[1:]):
        described = LayerDescriptor(layer, layer.digest, 0, Origin("wheel", f"layer{number}"))
        path = directory / f"{number}.layer.json"
        path.write_text(json.dumps(described.to_json()))
        output = directory / f"{number}.facts.json"
        command = ["layer_facts", f"--blob={reader.blob_path(layer)}", f"--descriptor={path}", f"--output={output}"]
        found.append((layer.size, command))
    return [command for _, command in sorted(found, key=lambda item: -item[0])]


def _specification(config: ImageConfig, layers: int, directory: Path) -> Path:
    path = directory / "doctor.spec.json"
    document = {
        "name": _IMAGE.value,
        "architecture": config.architecture,
        "variant": config.variant,
        "accelerator": _ACCELERATOR.value,
        "cpu": "",
        "features": [],
        "env": config.environment,
        "entrypoint": config.entrypoint,
        "cmd": config.command,
        "labels": {},
        "allow": {},
        "base_facts": None,
        "facts": [str(directory / f"{number}.facts.json") for number in range(layers)],
    }
    path.write_text(json.dumps(document))
    return path


def _inflate(reader: LayoutReader, manifest: Manifest) -> None:
    for layer in manifest.blobs[1:]:
        with igzip.open(reader.blob_path(layer)) as stream:
            while stream.read(_READ_BYTES):
                pass


def _run_all(commands: list[list[str]]) -> None:
    with ThreadPoolExecutor(_PROCESSES.value) as pool:
        list(pool.map(_run, commands))


def _run(command: list[str]) -> None:
    """Runs a tool as the build's actions start it."""
    tool, *arguments = command
    subprocess.run([os.environ[tool.upper()], *arguments], check=True, timeout=_LIMIT_S)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds by the clock and of CPUs."""

    clock: float
    cpu: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.clock + other.clock, self.cpu + other.cpu)


def _median(action: Callable[[], None]) -> Cost:
    costs = []
    for _ in range(_RUNS.value):
        start, before = time.perf_counter(), _cpu()
        action()
        costs.append(Cost(time.perf_counter() - start, _cpu() - before))
    return Cost(statistics.median(cost.clock for cost in costs), statistics.median(cost.cpu for cost in costs))


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _show(what: str, cost: Cost, against: Cost | None = None) -> None:
    ratio = f"  {cost.clock / against.clock:5.2f} times the first" if against else ""
    print(f"{what:44} {cost.clock:6.2f} s  {cost.cpu:6.2f} s CPU{ratio}")


if __name__ == "__main__":
    run_main(main)

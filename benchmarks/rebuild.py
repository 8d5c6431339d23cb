"""What Bazel and this project's actions take where nearly nothing is to be done, for an image of 40 wheels.

In a package that it makes for itself, with this workspace's own Bazel and a disk cache of its own: a build where
nothing has changed, one whose layers are gone and in the cache, and one after an edit of the model's source, the latter
with bills of materials and provenance too. Seconds, and those of processors, of Bazel's server and workers, are medians
of `--runs`, the server warm, Bazel's client and the doctor counted. Of several Pythons, each is built after the one
before, `--turns` times, and ratios are to the first.

    ./bazelw run //benchmarks:rebuild
    ./bazelw run //benchmarks:rebuild -- --pythons 3.11,3.13,3.14
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from benchmarks.many_wheels import FORTY_OF_ANY_PYTHON, build_file
from benchmarks.processors import processor_seconds
from chassis.command_line.run import run_main
from chassis.declaration.pythons import DEFAULT_PYTHON

_RUNS = flags.DEFINE_integer("runs", 5, "Rounds, in each of which every build is done once.", lower_bound=1)
_PYTHONS = flags.DEFINE_list("pythons", [DEFAULT_PYTHON], "Those of the image.")
_TURNS = flags.DEFINE_integer("turns", 1, "How often the Pythons are built in their order.", lower_bound=1)

_LIMIT_S = 1800
_PACKAGE = "rebuild_benchmark"
_IMAGE = f"//{_PACKAGE}:image"
_ATTESTED = (f"{_IMAGE}.sbom", f"{_IMAGE}.provenance")
_MADE = (".layer", ".layer.json", ".files.json", ".facts.json")
_MODEL = 'def predict(inputs):\n    return [{}, inputs["input"]]\n'
_MERKLE_TREES_KEPT = "--experimental_remote_merkle_tree_cache"  # Bazel 7 and 8
_PROCESSES = re.compile(r"INFO: (\d+ process.*)\.")


@dataclass(frozen=True, slots=True)
class Build:
    """Seconds of a call of Bazel, those of processors, and what Bazel says that it did."""

    seconds: float
    processors: float
    did: str


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    workspace = Path(os.environ["BUILD_WORKSPACE_DIRECTORY"])
    found: dict[str, dict[str, list[Build]]] = {python: {} for python in _PYTHONS.value}
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        package = place / _PACKAGE
        package.mkdir()
        (package / "BUILD.bazel").write_text(build_file(FORTY_OF_ANY_PYTHON, "frameworks", ""))
        print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; {len(FORTY_OF_ANY_PYTHON)} wheels", flush=True)
        for turn in range(_TURNS.value):
            for python in _PYTHONS.value:
                print(f"Python {python}:", flush=True)
                measure(Builder(workspace, place, python), package / "model.py", turn, found[python])
    first = found[_PYTHONS.value[0]]
    for python in _PYTHONS.value[1:]:
        print(f"Python {python} to {_PYTHONS.value[0]}: seconds, of processors")
        for way, builds in found[python].items():
            ratios = [_median(builds, kind) / _median(first[way], kind) for kind in ("seconds", "processors")]
            print(f"  {way:28}{ratios[0]:6.2f}{ratios[1]:6.2f}")
    print(f"load at the end {os.getloadavg()[0]:.1f}")


def measure(builder: Builder, model: Path, turn: int, found: dict[str, list[Build]]) -> None:
    """Builds the image in each way, and adds to `found` what each took."""
    edits = iter(range(turn * 1_000_000, (turn + 1) * 1_000_000))

    def edit() -> None:
        model.write_text(_MODEL.format(next(edits)))

    ways: dict[str, tuple[Callable[[], object], tuple[str, ...]]] = {
        "nothing changed": (lambda: None, ()),
        "layers from the disk cache": (builder.forget_layers, ()),
        "and Merkle trees kept": (builder.forget_layers, (_MERKLE_TREES_KEPT,)),
        "the model edited": (edit, ()),
        "the model edited, attested": (edit, _ATTESTED),
        "nothing changed, attested": (lambda: None, _ATTESTED),
    }
    edit()
    builder.build()
    builder.forget_layers()
    print(f"  every layer made: {builder.build().did}", flush=True)
    here: dict[str, list[Build]] = {way: [] for way in ways}
    for _ in range(_RUNS.value):
        for way, (change, options) in ways.items():
            change()
            here[way].append(builder.build(*options))
    for way, builds in here.items():
        found.setdefault(way, []).extend(builds)
        least = min(build.seconds for build in builds)
        print(
            f"  {way:28}{_median(builds, 'seconds'):6.2f} s  (least {least:.2f})"
            f"{_median(builds, 'processors'):6.2f} s of processors  {builds[-1].did}",
            flush=True,
        )


def _median(builds: Sequence[Build], kind: str) -> float:
    return statistics.median(getattr(build, kind) for build in builds)


class Builder:
    """This workspace's Bazel, which sees the package that is measured as one of the workspace's."""

    def __init__(self, workspace: Path, place: Path, python: str) -> None:
        self._workspace = workspace
        self._flags = [
            f"--package_path=%workspace%:{place}",
            f"--disk_cache={place}/cache",
            f"--//rules:python={python}",
            "--remote_download_outputs=all",  # what is gone comes back, not only what somebody wants
        ]
        self._bin = Path(self._bazel("info", *self._flags, "bazel-bin").stdout.strip())
        self._server = int(self._bazel("info", "server_pid").stdout.strip())

    def build(self, *options: str) -> Build:
        """Builds the image."""
        start, used = time.perf_counter(), processor_seconds(self._server)
        ended = self._bazel("build", *self._flags, *options, "--color=no", "--curses=no", _IMAGE)
        taken = time.perf_counter() - start
        return Build(taken, processor_seconds(self._server) - used, "".join(_PROCESSES.findall(ended.stderr)))

    def forget_layers(self) -> None:
        """Removes every layer with what else its action made."""
        count = 0
        for folder, _, names in os.walk(self._bin):
            for name in names:
                if name.endswith(_MADE) and not Path(folder, name).is_symlink():
                    Path(folder, name).unlink()
                    count += 1
        if not count:
            raise RuntimeError(f"{self._bin}: no layer is there")

    def _bazel(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = [str(self._workspace / "bazelw"), command, *arguments]
        return subprocess.run(
            program, cwd=self._workspace, check=True, capture_output=True, text=True, timeout=_LIMIT_S
        )


if __name__ == "__main__":
    run_main(main)

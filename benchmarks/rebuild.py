"""What Bazel and this project's actions take where nearly nothing is to be done, for an image of 40 wheels.

In a package that it makes for itself, with this workspace's own Bazel and a disk cache of its own: a build where
nothing has changed, one whose layers are gone and in the cache, and one after an edit of the model's source, the latter
with bills of materials and provenance too. Times are medians of `--runs`, the server warm, Bazel's client and the
doctor counted.

    ./bazelw run //benchmarks:rebuild
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags

from benchmarks.wheels_of_tools import FORTY, build_file
from chassis.command_line.run import run_main

_RUNS = flags.DEFINE_integer("runs", 5, "Rounds, in each of which every build is done once.", lower_bound=1)

_LIMIT_S = 900
_PACKAGE = "rebuild_benchmark"
_IMAGE = f"//{_PACKAGE}:image"
_ATTESTED = (f"{_IMAGE}.sbom", f"{_IMAGE}.provenance")
_MADE = (".layer", ".layer.json", ".files.json", ".facts.json")
_MODEL = 'def predict(inputs):\n    return [{}, inputs["input"]]\n'
_MERKLE_TREES_KEPT = "--experimental_remote_merkle_tree_cache"  # Bazel 7 and 8
_PROCESSES = re.compile(r"INFO: (\d+ process.*)\.")


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    workspace = Path(os.environ["BUILD_WORKSPACE_DIRECTORY"])
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        package = place / _PACKAGE
        package.mkdir()
        (package / "BUILD.bazel").write_text(build_file(FORTY))
        model = package / "model.py"
        model.write_text(_MODEL.format(-1))
        builder = Builder(workspace, place)
        print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; {len(FORTY)} wheels", flush=True)
        builder.build()
        builder.forget_layers()
        builder.build()
        print(f"every layer made: {builder.did}", flush=True)
        ways: dict[str, tuple[Callable[[int], object], tuple[str, ...]]] = {
            "nothing changed": (lambda number: None, ()),
            "layers from the disk cache": (lambda number: builder.forget_layers(), ()),
            "and Merkle trees kept": (lambda number: builder.forget_layers(), (_MERKLE_TREES_KEPT,)),
            "the model edited": (lambda number: model.write_text(_MODEL.format(number)), ()),
            "the model edited, attested": (lambda number: model.write_text(_MODEL.format(1000 + number)), _ATTESTED),
            "nothing changed, attested": (lambda number: None, _ATTESTED),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        did = {}
        for number in range(_RUNS.value):
            for name, (change, options) in ways.items():
                change(number)
                start = time.perf_counter()
                builder.build(*options)
                times[name].append(time.perf_counter() - start)
                did[name] = builder.did
        for name, seconds in times.items():
            print(f"{name:28}{statistics.median(seconds):6.2f} s  (least {min(seconds):.2f})  {did[name]}")
    print(f"load at the end {os.getloadavg()[0]:.1f}")


class Builder:
    """This workspace's Bazel, which sees the package that is measured as one of the workspace's."""

    def __init__(self, workspace: Path, place: Path) -> None:
        self._workspace = workspace
        self._flags = [
            f"--package_path=%workspace%:{place}",
            f"--disk_cache={place}/cache",
            "--remote_download_outputs=all",  # what is gone comes back, not only what somebody wants
        ]
        self._bin = Path(self._bazel("info", *self._flags, "bazel-bin").stdout.strip())
        self.did = ""

    def build(self, *options: str) -> None:
        """Builds the image; `did` is then Bazel's count of what it did."""
        ended = self._bazel("build", *self._flags, *options, "--color=no", "--curses=no", _IMAGE)
        self.did = "".join(_PROCESSES.findall(ended.stderr))

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

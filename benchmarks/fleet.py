"""What a monorepo of many models costs: loading and analysis, the server's memory, each further image, nothing to do.

In a workspace that it makes for itself, with an output base and a disk cache of its own: `--models` models in
`--packages` packages, each with a source of its own and the wheels of this repository's locks.

    ./bazelw run //benchmarks:fleet                                  # a thousand models in fifty packages
    ./bazelw run //benchmarks:fleet -- --models=20 --packages=4      # to see that it works
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from benchmarks.processors import processor_seconds
from chassis.command_line.run import run_main
from chassis.errors import ChassisError

_MODELS = flags.DEFINE_integer("models", 1000, "Models to make.", lower_bound=2)
_PACKAGES = flags.DEFINE_integer("packages", 50, "Packages that they are in.", lower_bound=2)
_IMAGES = flags.DEFINE_integer("images", 100, "Images to build, at most; all are analysed.", lower_bound=2)
_RUNS = flags.DEFINE_integer("runs", 5, "Builds in which nothing has changed.", lower_bound=1)

_PLACE = flags.DEFINE_string("place", None, "A directory to work in and to keep, to look at afterwards.")

_LIMIT_S = 3600
_NOTHING = "1 process: 1 internal"
_DID = re.compile(r"INFO: (\d+ process.*)\.")
_MODULE = """\
module(name = "fleet")

bazel_dep(name = "chassis", version = "0.1.0")
local_path_override(
    module_name = "chassis",
    path = "{chassis}",
)

bazel_dep(name = "platforms", version = "0.0.11")
bazel_dep(name = "rules_python", version = "0.40.0")

wheels = use_extension("@chassis//rules:extensions.bzl", "wheels")
wheels.hub(
    name = "pypi",
    locks = {{"@chassis//requirements:linux_amd64.txt": "linux_amd64"}},
)
use_repo(wheels, "pypi")
"""
_PACKAGE = """\
load("@chassis//rules:defs.bzl", "chassis_image", "chassis_model")

[
    chassis_model(
        name = "model%d" % number,
        srcs = ["model%d.py" % number],
        entry_point = "model%d:predict" % number,
        deps = ["@pypi//numpy"],
    )
    for number in range(NUMBERS)
]

[
    chassis_image(
        name = "image%d" % number,
        model = ":model%d" % number,
    )
    for number in range(NUMBERS)
]
"""
_PLAIN_RULES = """\
def _pickled(ctx):
    return [DefaultInfo(files = _files(ctx, 3, 1))]

def _model(ctx):
    return [DefaultInfo(files = depset(transitive = [ctx.attr.below[DefaultInfo].files, _files(ctx, 4, 2)]))]

def _image(ctx):
    return [DefaultInfo(files = depset(transitive = [ctx.attr.below[DefaultInfo].files, _files(ctx, 6, 4)]))]

def _for_people(ctx):
    return []

def _files(ctx, count, actions):
    files = [ctx.actions.declare_file("%s.%d" % (ctx.label.name, number)) for number in range(count)]
    for number in range(actions):
        ctx.actions.run_shell(
            command = "touch \\"$@\\"",
            arguments = [ctx.actions.args().add_all(files[number::actions])],
            inputs = ctx.files.srcs + (ctx.files.below if ctx.attr.below else []),
            outputs = files[number::actions],
        )
    return depset(files)

_ATTRS = {"below": attr.label(), "srcs": attr.label_list(allow_files = True)}

pickled = rule(implementation = _pickled, attrs = _ATTRS)
model = rule(implementation = _model, attrs = _ATTRS)
image = rule(implementation = _image, attrs = _ATTRS)
for_people = rule(implementation = _for_people, attrs = _ATTRS)
"""
_PLAIN_PACKAGE = """\
load("//plain:rules.bzl", "for_people", "image", "model", "pickled")

[
    [
        pickled(name = "model%d.pickled" % number, srcs = ["model%d.py" % number], tags = ["manual"]),
        model(name = "model%d" % number, below = "model%d.pickled" % number),
        image(name = "image%d" % number, below = "model%d" % number),
    ] + [
        for_people(name = "image%d.%d" % (number, target), below = "image%d" % number, tags = ["manual"])
        for target in range(6)
    ]
    for number in range(NUMBERS)
]
"""
_MODEL = """\
import numpy


def predict(content: bytes) -> dict:
    return {{"sum": int(numpy.frombuffer(content, "u1").sum()) + {}}}
"""


@dataclass(frozen=True, slots=True)
class Build:
    """A call of Bazel: seconds by the wall and of processors, and what it says it did."""

    seconds: float
    processors: float
    did: str


class Fleet:
    """A workspace of models, and the Bazel that builds it."""

    def __init__(self, checkout: Path, place: Path, models: int, packages: int) -> None:
        self._place = place
        self._workspace = place / "workspace"
        self._program = [str(checkout / "bazelw"), f"--output_base={place}/output", "--max_idle_secs=600"]
        self.images = _write(self._workspace, checkout, models, packages)

    def build(self, *arguments: str) -> Build:
        """Builds what the arguments name."""
        start, used = time.perf_counter(), self._processors()
        options = [
            f"--disk_cache={self._place}/cache",
            "--remote_download_regex=.*[.]layer$",  # docs/layers.md
            "--color=no",
            "--curses=no",
            "--platforms=@chassis//platforms:amd64",
        ]
        ended = self._bazel("build", *options, *arguments)
        return Build(time.perf_counter() - start, self._processors() - used, "".join(_DID.findall(ended.stderr)))

    def clean(self) -> None:
        """Removes what was built, but for what is in the disk cache."""
        self._bazel("clean")

    def megabytes(self) -> float:
        """The server's heap after a collection."""
        text = self._bazel("info", "used-heap-size-after-gc").stdout.strip()
        return float(text.removesuffix("MB"))

    def disk(self) -> int:
        """Bytes of what was built, without the disk cache; what several paths share counts once."""
        seen, total = set(), 0
        for folder, _, names in os.walk(self._place / "output/execroot"):
            for name in names:
                status = os.lstat(Path(folder, name))
                if status.st_ino not in seen:
                    seen.add(status.st_ino)
                    total += status.st_blocks * 512
        return total

    def stop(self) -> None:
        """Ends the server, if there is one."""
        subprocess.run(
            [*self._program, "shutdown"], cwd=self._workspace, env=_environment(), capture_output=True, check=False
        )

    def _processors(self) -> float:
        """Seconds of processors that the server, its workers and all that it has ended took."""
        server = self._bazel("info", "server_pid").stdout.strip()
        return processor_seconds(int(server))

    def _bazel(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [*self._program, command, *arguments],
            cwd=self._workspace,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
        )
        if ended.returncode:
            raise ChassisError(f"bazel {command} {' '.join(arguments[-2:])}: {ended.stderr[-2000:]}")
        return ended


def _environment() -> dict[str, str]:
    """That of whoever started this program, without what is for its own Python."""
    own = ("PYTHON", "LD_LIBRARY_PATH", "RUNFILES")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


def _write(workspace: Path, checkout: Path, models: int, packages: int) -> list[str]:
    """Writes the workspace; returns the labels of its images."""
    workspace.mkdir(exist_ok=True)
    (workspace / "MODULE.bazel").write_text(_MODULE.format(chassis=checkout))
    (workspace / ".bazelrc").write_text("build --sandbox_default_allow_network=false\ncommon --lockfile_mode=off\n")
    (workspace / "plain").mkdir(exist_ok=True)
    (workspace / "plain/BUILD.bazel").touch()
    (workspace / "plain/rules.bzl").write_text(_PLAIN_RULES)
    labels = []
    for package in range(packages):
        count = models // packages + (package < models % packages)
        for place, build_file in ((f"teams/{package}", _PACKAGE), (f"plain/{package}", _PLAIN_PACKAGE)):
            (workspace / place).mkdir(parents=True, exist_ok=True)
            (workspace / place / "BUILD.bazel").write_text(build_file.replace("NUMBERS", str(count)))
            for number in range(count):
                (workspace / place / f"model{number}.py").write_text(_MODEL.format(package * models + number))
        labels += [f"//teams/{package}:image{number}" for number in range(count)]
    return labels


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    checkout = Path(os.environ["BUILD_WORKSPACE_DIRECTORY"])
    if _PLACE.value:
        place = Path(_PLACE.value).absolute()
        place.mkdir(parents=True, exist_ok=True)
        _measure(Fleet(checkout, place, _MODELS.value, _PACKAGES.value))
        return
    with tempfile.TemporaryDirectory() as directory:
        fleet = Fleet(checkout, Path(directory), _MODELS.value, _PACKAGES.value)
        try:
            _measure(fleet)
        finally:
            fleet.stop()
            # A repository's directories are not writable, and what is to be removed has to be.
            subprocess.run(["chmod", "-R", "u+w", directory], check=True)


def _measure(fleet: Fleet) -> None:
    machine = f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    print(f"{machine}; {len(fleet.images)} models in {_PACKAGES.value} packages")
    chosen = fleet.images[: _IMAGES.value]
    first, others = chosen[:1], chosen[1:]
    _row("the first image, which fetches", fleet.build(*first))
    _row("loading and analysis of all", fleet.build("--nobuild", "//teams/..."))
    # As many targets, actions and files of rules that do nothing; the server is warmer by then.
    _row("the same of rules that do nothing", fleet.build("--nobuild", "//plain/..."))
    print(f"{'memory of the server':40}{fleet.megabytes():8.0f} MB", flush=True)
    before = fleet.disk()
    half = len(others) // 2
    for name, images in (("each of the first half", others[:half]), ("each of the second half", others[half:])):
        _row(name, fleet.build(*images), len(images))
    print(f"{'disk of each':40}{(fleet.disk() - before) / len(others) / 1000:8.0f} kB")
    _again(fleet, chosen)
    fleet.clean()
    _row("the first from the disk cache", fleet.build(*first))
    before = fleet.disk()
    _row("each from the disk cache", fleet.build(*others), len(others))
    print(f"{'disk of each':40}{(fleet.disk() - before) / len(others) / 1000:8.0f} kB")
    _again(fleet, chosen)
    print(f"load at the end {os.getloadavg()[0]:.1f}")


def _again(fleet: Fleet, images: list[str]) -> None:
    builds = sorted((fleet.build(*images) for _ in range(_RUNS.value)), key=lambda build: build.seconds)
    _row("nothing changed, the median", builds[len(builds) // 2])
    worked = [build.did for build in builds if build.did != _NOTHING]
    if worked:
        print(f"in {len(worked)} of {len(builds)} builds of what is built already Bazel had work: {worked[-1]}")


def _row(name: str, build: Build, images: int = 1) -> None:
    seconds, processors = build.seconds / images, build.processors / images
    print(f"{name:40}{seconds:8.2f} s {processors:8.2f} s of processors    {build.did}", flush=True)


if __name__ == "__main__":
    run_main(main)

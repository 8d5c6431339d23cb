"""What a second Python costs a workspace that has an image of one: what it fetches, and the actions of its image.

In a workspace, an output base and a repository cache of their own: the image of the first Python, then the same model
in an image of the second, then both again. Repositories are those that a build added; bytes came over the network.

    ./bazelw run //benchmarks:second_python -- --pythons 3.13,3.14
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.declaration.pythons import DEFAULT_PYTHON
from chassis.errors import ChassisError

_PYTHONS = flags.DEFINE_list("pythons", [DEFAULT_PYTHON, "3.14"], "The first and the second.")

_MODULE = """\
module(name = "team")
bazel_dep(name = "chassis", version = "0.1.0")
local_path_override(module_name = "chassis", path = "{chassis}")
wheels = use_extension("@chassis//rules:extensions.bzl", "wheels")
wheels.hub(name = "pypi", lock = "@chassis//requirements:frameworks.txt")
use_repo(wheels, "pypi")
"""
_PACKAGE = """\
load("@chassis//rules:defs.bzl", "chassis_image", "chassis_model")
chassis_model(name = "model", srcs = ["model.py"], entry_point = "model:predict", deps = ["@pypi//numpy"])
[chassis_image(name = "image_of_" + python, model = ":model", python = python) for python in PYTHONS]
"""
_MODEL = "import numpy\n\ndef predict(content):\n    return {'numpy': numpy.__version__}\n"
_PROCESSES = re.compile(r"INFO: (\d+ process.*)\.")
_LIMIT_S = 1800


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a build added: repositories, and bytes from the network."""

    repositories: list[str]
    bytes: int


class Workspace:
    """A workspace of one model with an image for each Python, and its Bazel."""

    def __init__(self, checkout: Path, place: Path, pythons: Sequence[str]) -> None:
        self._workspace = place / "workspace"
        self._cache = place / "repository_cache"
        self._output = place / "output"
        self._program = [str(checkout / "bazelw"), f"--output_base={self._output}", "--max_idle_secs=60"]
        self._had: set[str] = set()
        self._had_bytes = 0
        self._workspace.mkdir()
        (self._workspace / "MODULE.bazel").write_text(_MODULE.format(chassis=checkout))
        # The options of whoever runs this, such as a disk cache: it changes no count.
        (self._workspace / ".bazelrc").write_text(f"common --lockfile_mode=off\ntry-import {checkout}/user.bazelrc\n")
        (self._workspace / "BUILD.bazel").write_text(_PACKAGE.replace("PYTHONS", repr(list(pythons))))
        (self._workspace / "model.py").write_text(_MODEL)

    def build(self, *pythons: str) -> tuple[str, Fetched]:
        """Builds the images of the Pythons; what Bazel says that it did, and what it fetched."""
        images = [f"//:image_of_{python}" for python in pythons]
        options = [f"--repository_cache={self._cache}", "--color=no", "--curses=no"]
        ended = subprocess.run(
            [*self._program, "build", "--platforms=@chassis//platforms:amd64", *options, *images],
            cwd=self._workspace,
            env={name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "RUNFILES"))},
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
        )
        if ended.returncode:
            raise ChassisError(f"bazel build {' '.join(images)}: {ended.stderr[-2000:]}")
        return "".join(_PROCESSES.findall(ended.stderr)), self._fetched()

    def stop(self) -> None:
        """Ends the server."""
        subprocess.run([*self._program, "shutdown"], cwd=self._workspace, capture_output=True, check=False)

    def _fetched(self) -> Fetched:
        external = self._output / "external"
        present = {path.name for path in external.iterdir() if path.is_dir() and not path.is_symlink()}
        cached = {path.parent.name: path.stat().st_size for path in self._cache.glob("content_addressable/*/*/file")}
        for wheel in external.glob("*/*.whl"):  # pip's are in no cache of Bazel's
            cached.setdefault(hashlib.sha256(wheel.read_bytes()).hexdigest(), wheel.stat().st_size)
        total = sum(cached.values())
        added, new = sorted(present - self._had), total - self._had_bytes
        self._had, self._had_bytes = present, total
        return Fetched(added, new)


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    first, second = _PYTHONS.value
    with tempfile.TemporaryDirectory() as directory:
        workspace = Workspace(Path(os.environ["BUILD_WORKSPACE_DIRECTORY"]), Path(directory), (first, second))
        try:
            for name, pythons in (
                (f"{first} alone", (first,)),
                (f"{second} too", (second,)),
                ("both again", (first, second)),
            ):
                did, fetched = workspace.build(*pythons)
                megabytes = fetched.bytes / 1e6
                print(f"{name}: {len(fetched.repositories)} repositories, {megabytes:.1f} MB; {did}", flush=True)
                for repository in fetched.repositories if pythons == (second,) else ():
                    print(f"  {repository}")
        finally:
            workspace.stop()
            # A repository's directories are not writable, and what is to be removed has to be.
            subprocess.run(["chmod", "-R", "u+w", directory], check=True)


if __name__ == "__main__":
    run_main(main)

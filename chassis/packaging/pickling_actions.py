"""Actions that tests have a pickling worker do, one after the other, in a directory as Bazel gives it."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from chassis.confinement.landlock import landlock_version
from chassis.declaration.model import ModelMetadata
from chassis.packaging.packager import Model, PackagedModel, package_model, running_version
from chassis.packaging.pickling_worker import Action, PicklingWorker
from chassis.packaging.sample_models import written

WHEEL = "import numbers_of\n"
PLAIN = WHEEL + "def process(a: bytes):\n    return numbers_of.STATE\n"


@contextlib.contextmanager
def actions_in(directory: Path) -> Iterator[Actions]:
    """Has what is within run in `directory`, with a worker there. On Linux before 5.13 the test is skipped."""
    if not landlock_version():
        pytest.skip("this kernel has no Landlock, without which a worker keeps no process")
    with contextlib.chdir(directory):
        made = Actions(directory)
        yield made
        made.worker.stop()


class Actions:
    """A directory that actions run in, one after the other, with a worker there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.wheel("STATE = []\n")
        self.worker = PicklingWorker(())

    def wheel(self, source: str) -> None:
        """Gives the wheel that models import another content."""
        written(self.root / "wheel" / "numbers_of-1.0.dist-info" / "METADATA", b"")
        (self.root / "wheel" / "numbers_of.py").unlink(missing_ok=True)
        written(self.root / "wheel" / "numbers_of.py", source.encode())

    def package(self, source: str, name: str = "model", data: Mapping[str, bytes] | None = None) -> PackagedModel:
        """What the worker makes of a model."""
        model = self.model(source, name, data)
        files = [str(path) for path in (*model.sources.values(), *model.data.values())]
        digests = {file: file for file in files} | {
            str(path.relative_to(self.root)): str(hash(path.read_bytes()))
            for path in (self.root / "wheel").rglob("*")
            if path.is_file()
        }
        return self.worker.package(Action(model, files, ["wheel"], digests, None, running_version(), 20.0))

    def model(self, source: str, name: str, data: Mapping[str, bytes] | None = None) -> Model:
        """A model in the workspace package `ml`, its paths from the directory that actions run in."""
        written(self.root / "ml" / f"{name}.py", source.encode())
        for key, content in (data or {}).items():
            written(self.root / "made" / key, content)
        return Model(
            ModelMetadata(name=name),
            f"{name}:process",
            None,
            "ml",
            {f"ml/{name}.py": Path(f"ml/{name}.py")},
            {key: Path("made", key) for key in data or {}},
            [Path("wheel"), Path()],
        )

    def alone(self, source: str, name: str = "model", data: Mapping[str, bytes] | None = None) -> PackagedModel:
        """What processes of its own make of a model."""
        # Not in this process, which would end the ones that are kept.
        with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as other:
            package = functools.partial(package_model, timeout=20.0, inputs=self.root, shared=())
            return other.submit(package, self.model(source, name, data)).result()

    def warm(self) -> list[int]:
        """The processes that are kept."""
        return [process._process for process in self.worker._kept.values()]

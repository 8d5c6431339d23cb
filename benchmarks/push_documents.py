"""What a push costs whose client has no layer: after an edit, of a hundred images that are there, of a hundred new.

The layers of the images are not on disk: a push that looks for one fails. Beside seconds by the clock stand those of
processors, of the push and of the registry: what a machine without other work would take at most.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chassis.oci.caches.cas_server import CasServer
from tests.publishing.fault_proxy import FaultProxy
from tests.publishing.registry_server import RegistryServer, program
from tests.publishing.sample_images import SampleLayout

_IMAGES = 100
_EDIT_BYTES = 10_000
_LIMIT_S = 600


@dataclass(frozen=True, slots=True)
class _Cost:
    """Seconds by the clock, of the push's processors and of the registry's."""

    wall: float
    push: float
    registry: float

    def __str__(self) -> str:
        return f"{self.wall:.2f} s, processors {self.push:.2f} s and the registry's {self.registry:.2f} s"


def _timed(act: Callable[[], object], registry: RegistryServer) -> _Cost:
    hashed, before, start = registry.processor_seconds(), _children(), time.perf_counter()
    act()
    return _Cost(time.perf_counter() - start, _children() - before, registry.processor_seconds() - hashed)


def _children() -> float:
    """Seconds of processors of the processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _median(costs: Sequence[_Cost]) -> _Cost:
    return _Cost(*(statistics.median(getattr(cost, part) for cost in costs) for part in ("wall", "push", "registry")))


def measure(place: Path, registry: RegistryServer, layers: int, megabytes: int, runs: int) -> None:
    """Prints the rows; the registry is one of its own, and empty."""
    _edited(place / "edited", registry, layers, megabytes, runs)
    images = _Images(place / "many", registry, layers)
    first = _timed(images.push, registry)
    print(f"{_IMAGES} new images on one set of {layers - 1} layers: {first}; {first.wall / _IMAGES:.3f} s each")
    images.drop_layers()
    print(
        f"{_IMAGES} unchanged images, no layer on disk: {_median([_timed(images.push, registry) for _ in range(runs)])}"
    )
    since = [_timed(lambda: images.push("--since=last.json"), registry) for _ in range(runs)]
    print(f"the same with --since: {_median(since)}; no registry is asked")


def _edited(place: Path, registry: RegistryServer, layers: int, megabytes: int, runs: int) -> None:
    """A cold client, a warm remote cache, and a registry that has all but the last layer."""
    layout = SampleLayout(place / "whole", seed=3)
    size = megabytes * 1_000_000 // (layers - 1)
    shared = tuple(layout.layer(size) for _ in range(layers - 1))
    repository = f"{registry.address}/edited/image"
    _push(layout.finish(layout.image(_EDIT_BYTES, shared=shared)), repository, place)
    costs, bodies, fetched = [], [], []
    for number in range(runs):
        documents, blobs = _documents(layout, layout.image(_EDIT_BYTES, shared=shared), place / f"documents{number}")
        with CasServer() as cache, FaultProxy(registry.address) as proxy:
            for blob in blobs[-1:]:
                cache.add(blob)
            through = repository.replace(registry.address, proxy.address)
            costs.append(_timed(functools.partial(_push, documents, through, place, cache.port), registry))
            bodies.append(sum(request.size for request in proxy.requests))
            fetched.append(cache.sent)
    print(
        f"one edit of {megabytes} MB, cold client, warm remote cache: {_median(costs)}, "
        f"{max(fetched)} bytes of layers from the cache, {max(bodies)} bytes of bodies to the registry"
    )
    shutil.rmtree(place)


def _documents(layout: SampleLayout, entry: dict, path: Path) -> tuple[Path, list[bytes]]:
    """The layout of an image without its layers, and the bytes of those, in order."""
    layout.finish(entry)
    (path / "blobs/sha256").mkdir(parents=True)
    for name in ("oci-layout", "index.json"):
        shutil.copy(layout.path / name, path)
    manifest = json.loads((layout.blobs / entry["digest"].removeprefix("sha256:")).read_bytes())
    for digest in (entry["digest"], manifest["config"]["digest"]):
        shutil.copy(layout.blobs / digest.removeprefix("sha256:"), path / "blobs/sha256")
    last = manifest["layers"][-1]["digest"].removeprefix("sha256:")
    return path, [(layout.blobs / last).read_bytes()]


def _push(layout: Path, repository: str, place: Path, cache_port: int = 0) -> None:
    command = [program("CHASSIS_PUSH"), f"--image={layout}", f"--repository={repository}", "--tag=t"]
    command += [f"--remote_cache=grpc://127.0.0.1:{cache_port}"] if cache_port else []
    _run(command, place)


def _run(command: Sequence[str], place: Path, **environment: str) -> str:
    environment = {**os.environ, "CHASSIS_CACHE": str(place / "cache"), "HOME": "/nonexistent", **environment}
    done = subprocess.run(command, env=environment, timeout=_LIMIT_S, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr[-2000:]}")
    return done.stdout


class _Images:
    """Images of one set of layers, each with a last one and a repository of its own, and their plans."""

    def __init__(self, place: Path, registry: RegistryServer, layers: int) -> None:
        self.place = place
        self.layout = SampleLayout(place / "image", seed=4)
        # The plans' paths are of runfiles, where the tool has its Python, too.
        runfiles = next(path for path in Path(program("CHASSIS_PUSH_ALL")).parents if path.suffix == ".runfiles")
        for path in runfiles.iterdir():
            (place / path.name).symlink_to(path)
        shared = tuple(self.layout.layer(100_000) for _ in range(layers - 1))
        self.layers: list[str] = [descriptor["digest"] for descriptor, _ in shared]
        for number in range(_IMAGES):
            entry = self.layout.image(1000, shared=shared)
            folder = place / f"image{number}"
            folder.mkdir()
            (folder / "blobs").symlink_to(self.layout.path / "blobs")
            for name in ("oci-layout", "index.json"):
                shutil.copy(self.layout.finish(entry) / name, folder)
            self._write_plan(number, f"{registry.address}/team/model{number}")

    def _write_plan(self, number: int, repository: str) -> None:
        plan = {
            "documents": f"image{number}",
            "immutable_tags": False,
            "layers": [],
            "layouts": [],
            "mount_from": [],
            "repository": repository,
            "stamped_tags": [],
            "status_files": [],
            "tag_files": [],
            "tags": ["t"],
            "target": f"//team:push{number}",
        }
        (self.place / f"{number}.json").write_text(json.dumps(plan))

    def drop_layers(self) -> None:
        """Removes every layer of every image."""
        for path in self.layout.blobs.iterdir():
            document = path.read_bytes()[:1] == b"{"
            if not document:
                path.unlink()

    def push(self, *arguments: str) -> None:
        """All of them in one process."""
        plans = [f"--plan={self.place}/{number}.json" for number in range(_IMAGES)]
        command = [program("CHASSIS_PUSH_ALL"), *plans, *arguments]
        output = _run(command, self.place, RUNFILES_DIR=str(self.place), BUILD_WORKING_DIRECTORY=str(self.place))
        (self.place / "last.json").write_text(output)

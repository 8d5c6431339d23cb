"""How fast an image is published, against skopeo and crane, side by side in one run, to docker-registry on loopback.

First push into an empty registry, the same push again, and a push after an edit of the last layer. Two limits stand
beside the first: the slower of one SHA-256 over the bytes and a raw copy through loopback to the registry's disk; and
the registry's own, what it takes when a client that checks nothing hands it the blobs. Then what goes over the wire
after the edit, how often eight images that share their layers upload them, and what pushes cost that start from
documents alone: after an edit with a remote cache, of a hundred images that are there, of a hundred new ones. Ratios
are medians over `--runs`, each of them taken within one round; CPU seconds are the client's own and the registry's.

    ./bazelw run //benchmarks:push -- --runs 5
"""

from __future__ import annotations

import functools
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import flags

from benchmarks import push_documents
from benchmarks.push_limit import copy_through_loopback, sha256_of_files, upload_bare
from chassis.command_line.run import run_main
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.push import PushOptions
from tests.publishing.fault_proxy import FaultProxy
from tests.publishing.registry_server import RegistryServer, program, skopeo
from tests.publishing.sample_images import SampleLayout

_LAYERS = flags.DEFINE_integer("layers", 10, "Layers of the image.", lower_bound=2)
_MEGABYTES = flags.DEFINE_integer("megabytes", 1000, "Size of all but the last, in MB (10**6 bytes).", lower_bound=1)
_RUNS = flags.DEFINE_integer("runs", 3, "Rounds, in each of which every program does every step.", lower_bound=1)
_NEWER = flags.DEFINE_bool("newer", False, "Push to docker-registry 2.8.3 of Debian forky instead of bookworm's 2.8.2.")
_ONLY_DOCUMENTS = flags.DEFINE_bool("only_documents", False, "Only pushes that start from documents alone.")
_EDIT_BYTES = 10_000

_LIMIT_S = 600
_STEPS = ("first push", "nothing changed", "after an edit")

Push = Callable[[Path, str, Path], object]


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that a push took, and those that its own process and the registry computed."""

    wall: float
    cpu: float
    registry: float = 0.0


def main(argv: Sequence[str]) -> None:
    """Measures and prints a table."""
    del argv
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as directory:
        place = Path(directory)
        print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {_RUNS.value} rounds; {_registry_name()}")
        if not _ONLY_DOCUMENTS.value:
            _with_layers(place)
        with _registry(place / "documents") as registry:
            push_documents.measure(place, registry, _LAYERS.value, _MEGABYTES.value, _RUNS.value)
        print(f"load {os.getloadavg()[0]:.1f} at the end")


def _with_layers(place: Path) -> None:
    """Pushes of an image that is here whole."""
    layouts = _layouts(place / "image", 2)
    size = sum(blob.size for blob in LayoutReader(layouts[0]).image()[0].blobs)
    print(f"image of {_LAYERS.value} layers, {size / 1e6:.0f} MB")
    _compare(layouts, place)
    _wire(layouts, place)
    _shared(place)


def _compare(layouts: Sequence[Path], place: Path) -> None:
    """Every program's three steps, beside the limits."""
    rounds: list[dict[str, list[Cost]]] = []
    limits: list[dict[str, float]] = []
    for number in range(_RUNS.value):
        hashing = _timed(lambda: sha256_of_files(_blobs(layouts[0]))).wall
        copying = _timed(lambda: copy_through_loopback(_blobs(layouts[0]), place / "copied")).wall
        shutil.rmtree(place / "copied")
        bare = _bare(_blobs(layouts[0]), place)
        limits.append({"limit": max(hashing, copying), "registry's own": bare.wall})
        print(
            f"round {number}: SHA-256 {hashing:.2f} s, copy through loopback to disk {copying:.2f} s, "
            f"the registry alone {bare.wall:.2f} s, of which {bare.registry:.2f} s on a processor",
            flush=True,
        )
        names = list(_PUSHES)
        names = names[number % len(names) :] + names[: number % len(names)]  # none has the same neighbours each time
        rounds.append({name: _steps(_PUSHES[name], layouts, place) for name in names})
    for step, title in enumerate(_STEPS):
        for name in _PUSHES:
            costs = [row[name][step] for row in rounds]
            fastest = [min(row[other][step].wall for other in row if other != "chassis") for row in rounds]
            text = f"{title:16} {name:8} {statistics.median(cost.wall for cost in costs):7.3f} s"
            text += f"  (least {min(cost.wall for cost in costs):.3f}, CPU {min(cost.cpu for cost in costs):.3f})"
            text += f"  registry {statistics.median(cost.registry for cost in costs):.2f} s of CPU"
            if name == "chassis":
                text += f"  {_ratio(costs, fastest):.2f} x the faster of the others"
            if not step:
                for limit in limits[0]:
                    text += f"  {_ratio(costs, [row[limit] for row in limits]):.2f} x the {limit}"
            print(text)


def _ratio(costs: Sequence[Cost], others: Sequence[float]) -> float:
    return statistics.median(cost.wall / other for cost, other in zip(costs, others, strict=True))


def _bare(blobs: Sequence[Path], place: Path) -> Cost:
    """The blobs into an empty registry, with as many at a time as `oci_push` has."""
    with _registry(place / "registry") as registry:
        cost = _timed(lambda: upload_bare(blobs, registry.address, "benchmark/image", PushOptions().jobs), registry)
    shutil.rmtree(place / "registry")
    return cost


def _steps(push: Push, layouts: Sequence[Path], place: Path) -> list[Cost]:
    """The first push, the same again, and one after an edit, from an empty registry."""
    with _registry(place / "registry") as registry:
        name = f"{registry.address}/benchmark/image"
        images = (layouts[0], layouts[0], layouts[1])
        costs = [_timed(functools.partial(push, layout, name, place), registry) for layout in images]
    shutil.rmtree(place / "registry")
    return costs


def _wire(layouts: Sequence[Path], place: Path) -> None:
    """What goes out after an edit: bodies, and headers as they arrive."""
    with _registry(place / "registry") as registry, FaultProxy(registry.address) as proxy:
        _chassis(layouts[0], f"{registry.address}/benchmark/image", place)
        _chassis(layouts[1], f"{proxy.address}/benchmark/image", place)
        bodies = sum(request.size for request in proxy.requests)
        lines = [f"{r.method} {r.path} HTTP/1.1" for r in proxy.requests]
        lines += [f"{name}: {value}" for r in proxy.requests for name, value in r.headers.items()]
        headers = sum(len(line) + 2 for line in lines)
    shutil.rmtree(place / "registry")
    print(f"after an edit, sent: {bodies} bytes of bodies and {headers} of headers in {len(proxy.requests)} requests")


def _shared(place: Path) -> None:
    """Eight images that share all layers but one, into a repository each."""
    layouts = _layouts(place / "eight", 8, layer_bytes=1_000_000)
    with _registry(place / "registry") as registry, FaultProxy(registry.address) as proxy:
        for number, layout in enumerate(layouts):
            _chassis(layout, f"{proxy.address}/team/model{number}", place)
        completed = [request.path.partition("digest=")[2] for request in proxy.requests if "digest=" in request.path]
    shutil.rmtree(place / "registry")
    most = max(completed.count(digest) for digest in completed)
    print(f"eight images, {_LAYERS.value - 1} shared layers: {len(completed)} uploads, none more than {most} times")


def _layouts(path: Path, count: int, layer_bytes: int = 0) -> list[Path]:
    """Images that differ in the last layer, a small one."""
    layout = SampleLayout(path, seed=1)
    size = layer_bytes or _MEGABYTES.value * 1_000_000 // (_LAYERS.value - 1)
    shared = tuple(layout.layer(size) for _ in range(_LAYERS.value - 1))
    images = [layout.image(_EDIT_BYTES, shared=shared) for _ in range(count)]
    layouts = []
    for number, image in enumerate(images):
        layouts.append(path.with_name(f"{path.name}{number}"))
        layouts[-1].mkdir()
        (layouts[-1] / "blobs").symlink_to(layout.path / "blobs")
        for name in ("oci-layout", "index.json"):
            shutil.copy(layout.finish(image) / name, layouts[-1])
    return layouts


def _blobs(layout: Path) -> list[Path]:
    return sorted((layout / "blobs/sha256").iterdir())


def _registry(folder: Path) -> RegistryServer:
    return RegistryServer(folder, variable="CHASSIS_NEWER_REGISTRY" if _NEWER.value else "CHASSIS_TEST_REGISTRY")


def _registry_name() -> str:
    return f"docker-registry {'2.8.3 of forky' if _NEWER.value else '2.8.2 of bookworm'}"


def _timed(act: Callable[[], object], registry: RegistryServer | None = None) -> Cost:
    os.sync()  # what was left to write before is not this one's
    hashed = registry.processor_seconds() if registry else 0.0
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    act()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, own, registry.processor_seconds() - hashed if registry else 0.0)


def _chassis(layout: Path, repository: str, place: Path) -> None:
    command = [program("CHASSIS_PUSH"), f"--image={layout}", f"--repository={repository}", "--tag=t"]
    environment = os.environ | {"CHASSIS_CACHE": str(place / "cache")}
    subprocess.run(command, check=True, env=environment, timeout=_LIMIT_S, capture_output=True)


def _skopeo(layout: Path, repository: str, place: Path) -> None:
    skopeo(place, "copy", "--dest-tls-verify=false", f"oci:{layout}", f"docker://{repository}:t")


def _crane(layout: Path, repository: str, place: Path) -> None:
    command = [program("CHASSIS_TEST_CRANE"), "push", str(layout), f"{repository}:t"]
    environment = {"HOME": str(place), "PATH": os.environ.get("PATH", "")}
    subprocess.run(command, check=True, env=environment, timeout=_LIMIT_S, capture_output=True)


_PUSHES: dict[str, Push] = {"chassis": _chassis, "skopeo": _skopeo, "crane": _crane}


if __name__ == "__main__":
    run_main(main)

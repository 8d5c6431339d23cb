"""How fast an image is published, against skopeo, side by side in one run, to docker-registry on loopback.

First push into an empty registry, the same push again, and a push after an edit of the last layer; the limit beside
them is the slower of one SHA-256 over the bytes and a raw copy through loopback to disk. Times are medians of `--runs`;
ratios are what to look at. `CHASSIS_TEST_REGISTRY` and `CHASSIS_TEST_SKOPEO` are the paths of the two programs.

    PYTHONPATH=. python benchmarks/push.py --layers 10 --layer_mb 100
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags

from chassis.tools.run import run_main
from tests.publishing.registry_server import RegistryServer, skopeo
from tests.publishing.sample_images import SampleLayout

_LAYERS = flags.DEFINE_integer("layers", 10, "Layers of the image.", lower_bound=2)
_LAYER_MB = flags.DEFINE_integer("layer_mb", 100, "Size of each, in MB (10**6 bytes).", lower_bound=1)
_RUNS = flags.DEFINE_integer("runs", 3, "Times that each is measured.", lower_bound=1)

_LIMIT_S = 600
_BLOCK = 1 << 20

Push = Callable[[Path, str, Path], None]


def main(argv: Sequence[str]) -> None:
    """Measures and prints a table."""
    del argv
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as directory:
        place = Path(directory)
        first, edited, size = _layouts(place / "image")
        print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, median of {_RUNS.value}")
        print(f"{_LAYERS.value} layers, {size / 1e6:.0f} MB")
        hashing = _median(lambda: _sha256(first))
        copying = _median(lambda: _copy(first, place / "copied"))
        limit = max(hashing, copying)
        print(f"SHA-256 {hashing:.2f} s, copy through loopback to disk {copying:.2f} s")
        measured = {name: _measure(push, first, edited, place) for name, push in _PUSHES.items()}
        for number, step in enumerate(("first push", "nothing changed", "after an edit")):
            for name, times in measured.items():
                ratio = f"{times[number] / measured['skopeo'][number]:5.2f} x skopeo"
                of_limit = f", {times[number] / limit:.2f} x the limit" if not number else ""
                print(f"  {step:16} {name:8} {times[number]:7.2f} s  {ratio}{of_limit}")


def _layouts(path: Path) -> tuple[Path, Path, int]:
    """The image, the same with another last layer, and the bytes of the first."""
    layout = SampleLayout(path, seed=1)
    shared = [layout.layer(_LAYER_MB.value * 1_000_000) for _ in range(_LAYERS.value - 1)]
    images = [layout.image(10_000, shared=tuple(shared)) for _ in range(2)]
    layouts = []
    for number, image in enumerate(images):
        layouts.append(path.with_name(f"layout{number}"))
        layouts[-1].mkdir()
        (layouts[-1] / "blobs").symlink_to(layout.path / "blobs")
        for name in ("oci-layout", "index.json"):
            shutil.copy(layout.finish(image) / name, layouts[-1])
    return layouts[0], layouts[1], sum(descriptor["size"] for descriptor, _ in shared)


def _measure(push: Push, first: Path, edited: Path, place: Path) -> list[float]:
    """Median seconds of the first push, the same again, and one after an edit; the registry is empty each time."""
    rows = []
    for number in range(_RUNS.value):
        folder = place / f"registry{number}"
        with RegistryServer(folder) as registry:
            rows.append([_seconds(push, layout, registry.address, place) for layout in (first, first, edited)])
        shutil.rmtree(folder)
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def _seconds(push: Push, layout: Path, address: str, place: Path) -> float:
    start = time.perf_counter()
    push(layout, f"{address}/benchmark", place)
    return time.perf_counter() - start


def _chassis(layout: Path, repository: str, place: Path) -> None:
    del place
    command = [sys.executable, "-m", "chassis.tools.push", f"--image={layout}", f"--repository={repository}", "--tag=t"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run(command, check=True, env=environment, timeout=_LIMIT_S, capture_output=True)


def _skopeo(layout: Path, repository: str, place: Path) -> None:
    skopeo(place, "copy", "--dest-tls-verify=false", f"oci:{layout}", f"docker://{repository}:t")


_PUSHES: dict[str, Push] = {"chassis": _chassis, "skopeo": _skopeo}


def _median(act: Callable[[], None]) -> float:
    times = []
    for _ in range(_RUNS.value):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _files(layout: Path) -> list[Path]:
    return sorted((layout / "blobs/sha256").iterdir())


def _sha256(layout: Path) -> None:
    for file in _files(layout):
        with file.open("rb") as stream:
            hashlib.file_digest(stream, "sha256")


def _copy(layout: Path, out: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_receive, args=(server, out))
        thread.start()
        with socket.create_connection(server.getsockname()) as sender:
            for file in _files(layout):
                with file.open("rb") as stream:
                    sender.sendfile(stream)
        thread.join(_LIMIT_S)


def _receive(server: socket.socket, out: Path) -> None:
    connection, _ = server.accept()
    buffer = bytearray(_BLOCK)
    with connection, out.open("wb", buffering=0) as stream:
        while count := connection.recv_into(buffer):
            stream.write(memoryview(buffer)[:count])


if __name__ == "__main__":
    run_main(main)

"""How fast wheels and Debian packages become layers, against what one would use instead, side by side in one
run.

For each wheel: this project's tool as an action starts it; the same in one process without the start of
Python; the floor (inflate with ISA-L, one SHA-256 over the content, read and write the compressed bytes, one
thread); and each archiver that is found, from an unpacked tree, the unpacking counted. Times are medians of
`--runs`; ratios are what to look at.

    python benchmarks/layers.py --wheel A.whl --wheel B.whl --deb x.deb … [--tools DIR]
"""

from __future__ import annotations

import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import flags
from isal import isal_zlib

from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.wheel import add_wheel
from chassis.oci.layer.zip_index import ZipIndex
from chassis.tools.run import run_main
from chassis.tools.unpack_wheel import unpack

_WHEELS = flags.DEFINE_multi_string("wheel", [], "A wheel to measure.")
_DEBS = flags.DEFINE_multi_string("deb", [], "A Debian package of the base to measure.")
_ARCHITECTURE = flags.DEFINE_string("architecture", "amd64", "Debian's name of the base's architecture.")
_TOOLS = flags.DEFINE_string("tools", "", "A directory that is searched for archivers before PATH.")
_RUNS = flags.DEFINE_integer("runs", 5, "Times that each is measured.", lower_bound=1)

_LIMIT_S = 600
_ARCHIVERS = {
    "bsdtar --gzip": ("bsdtar", "bsdtar --gzip -cf out.tgz -C tree ."),
    "tar | pigz": ("pigz", "tar -cf - -C tree . | pigz -p2 > out.tgz"),
    "tar | igzip -1": ("igzip", "tar -cf - -C tree . | igzip -1 -c > out.tgz"),
    "tar | zstd -3": ("zstd", "tar -cf - -C tree . | zstd -3 -q -c > out.tgz"),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """Median seconds of a way to make a layer, and the size of what it made in bytes."""

    seconds: float
    size: int


def main(argv: Sequence[str]) -> None:
    """Measures and prints a table for each wheel, then the base."""
    del argv
    path = os.pathsep.join(filter(None, (_TOOLS.value, os.environ.get("PATH", os.defpath))))
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, median of {_RUNS.value}")
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        for wheel in map(Path, _WHEELS.value):
            _report_wheel(wheel.absolute(), place, path)
        if _DEBS.value:
            _report_base([Path(deb).absolute() for deb in _DEBS.value], place)


def _report_wheel(wheel: Path, place: Path, path: str) -> None:
    with ZipIndex(wheel) as index:
        size, count = sum(member.size for member in index.members), len(index.members)
    stored = wheel.stat().st_size
    print(f"\n{wheel.name}: {count} files, {size / 1e6:.1f} MB, wheel {stored / 1e6:.1f} MB")
    floor = _median(lambda: _floor(wheel, place / "floor"), place / "floor")
    ours = _median(lambda: _layer_in_process(wheel, place), place / "blob")
    tool = _median(lambda: _start("wheel_layer", [f"--wheel={wheel}"], place), place / "blob")
    rows = {"floor": floor, "wheel_layer, in one process": ours, "wheel_layer, as a tool": tool}
    for name, (program, command) in _ARCHIVERS.items():
        if shutil.which(program, path=path):
            rows[name] = _median(lambda command=command: _archive(wheel, command, place, path), place / "out.tgz")
        else:
            print(f"  {name}: not measured, {program} is not found")
    for name, row in rows.items():
        print(
            f"  {name:28}{row.seconds:8.3f} s{size / row.seconds / 1e6:9.0f} MB/s"
            f"  {row.seconds / floor.seconds:6.2f} x floor  {row.seconds / tool.seconds:6.2f} x the tool"
            f"  size {row.size / stored - 1:+.2%}"
        )
    print(f"  most memory of the tool: {_most_memory(wheel, place)} MB")


def _report_base(debs: Sequence[Path], place: Path) -> None:
    arguments = [f"--deb={deb}" for deb in debs] + [f"--architecture={_ARCHITECTURE.value}"]
    measured = _median(lambda: _start("base_layer", arguments, place), place / "blob")
    print(f"\nbase of {len(debs)} packages: {measured.seconds:.2f} s, {measured.size / 1e6:.1f} MB")


def _median(act: Callable[[], None], made: Path) -> Measured:
    times = []
    for _ in range(_RUNS.value):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return Measured(statistics.median(times), made.stat().st_size)


def _floor(wheel: Path, out: Path) -> None:
    state = hashlib.sha256()
    with ZipIndex(wheel) as index, out.open("wb") as written:
        for member in index.members:
            index.stream.seek(member.offset)
            inflater = isal_zlib.decompressobj(-15)
            left = member.stored_size
            while left:
                stored = index.stream.read(min(left, 1 << 20))
                left -= len(stored)
                written.write(stored)
                state.update(inflater.decompress(stored) if member.deflated else stored)


def _layer_in_process(wheel: Path, place: Path) -> None:
    outputs = LayerOutputs(place / "blob", place / "descriptor", place / "files")
    write_layer(outputs, lambda writer: add_wheel(writer, wheel, "opt/venv", "3.11"))


def _start(tool: str, arguments: Sequence[str], place: Path) -> None:
    outputs = [f"--blob={place}/blob", f"--descriptor={place}/descriptor", f"--files={place}/files"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", f"chassis.tools.{tool}", *arguments, *outputs]
    subprocess.run(command, check=True, env=environment, timeout=_LIMIT_S)


def _most_memory(wheel: Path, place: Path) -> int:
    """The tool's greatest resident set in MB; `getrusage` would count the process that started it too."""
    code = (
        "import atexit, runpy, sys\n"
        "lines = lambda: open('/proc/self/status').read().splitlines()\n"
        "atexit.register(lambda: print(*[line.split()[1] for line in lines() if line.startswith('VmHWM')]))\n"
        "runpy.run_module('chassis.tools.wheel_layer', run_name='__main__', alter_sys=True)\n"
    )
    outputs = [f"--blob={place}/blob", f"--descriptor={place}/descriptor", f"--files={place}/files"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, f"--wheel={wheel}", *outputs]
    ran = subprocess.run(command, check=True, env=environment, timeout=_LIMIT_S, stdout=subprocess.PIPE, text=True)
    return int(ran.stdout) // 1024


def _archive(wheel: Path, command: str, place: Path, path: str) -> None:
    tree = place / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    unpack(wheel, tree)
    environment = os.environ | {"PATH": path}
    subprocess.run(["sh", "-c", command], cwd=place, env=environment, check=True, timeout=_LIMIT_S)


if __name__ == "__main__":
    run_main(main)

"""What a base and 5,000 small files cost with one compressor and with another: the whole layer is written with each.

Rounds go through all compressors in turn, so that what else the machine does falls on all of them.
"""

from __future__ import annotations

import itertools
import os
import resource
import statistics
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from unittest import mock

from deflate import deflate_compress
from isal import isal_zlib
from zlib_ng import zlib_ng

from chassis.compression.compressor import LEVEL
from chassis.oci.descriptor import Origin
from chassis.oci.layer import cut_members, members
from chassis.oci.layer.debian_base import BaseOptions, add_base
from chassis.oci.layer.writer import LayerWriter

Compressor = Callable[[bytes], bytes | bytearray]

_RAW = -15
_OURS = f"libdeflate {LEVEL}"
COMPRESSORS: Mapping[str, Compressor] = {
    _OURS: lambda data: deflate_compress(data, LEVEL),
    "libdeflate 1": lambda data: deflate_compress(data, 1),
    "zlib 6": lambda data: zlib.compress(data, 6, _RAW),
    "zlib 1": lambda data: zlib.compress(data, 1, _RAW),
    "zlib-ng 6": lambda data: zlib_ng.compress(data, 6, _RAW),
    "zlib-ng 2": lambda data: zlib_ng.compress(data, 2, _RAW),
    "ISA-L 2": lambda data: isal_zlib.compress(data, 2, _RAW),
}
"""This project's first; what the others make differs from it, and of ISA-L's from time to time."""

_SMALL_FILES = 5000
_MAX_BYTES = 1 << 16


def report_base(debs: Sequence[Path], place: Path, runs: int) -> None:
    """Measures the base of Debian packages, without bytecode."""

    def fill(writer: LayerWriter) -> Origin:
        return add_base(writer, debs, BaseOptions("amd64"))

    _report(f"base of {len(debs)} packages", fill, place, runs)


def report_small_files(wheels: Sequence[Path], place: Path, runs: int) -> None:
    """Measures the first 5,000 files of at most 64 KiB in the wheels, as if they were first-party code."""
    contents = dict(itertools.islice(_small_files(wheels), _SMALL_FILES))

    def fill(writer: LayerWriter) -> Origin:
        for name, data in contents.items():
            writer.add_bytes(name, data)
        return Origin("code", "small files")

    _report(f"{len(contents):,} files of {sum(map(len, contents.values())) / 1e6:.1f} MB", fill, place, runs)


def _small_files(wheels: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                if 0 < info.file_size <= _MAX_BYTES:
                    yield f"{wheel.stem}/{info.filename}", archive.read(info)


def _report(title: str, fill: Callable[[LayerWriter], Origin], place: Path, runs: int) -> None:
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in COMPRESSORS}
    sizes: dict[str, int] = {}
    for _ in range(runs):
        for name, compressor in COMPRESSORS.items():
            os.sync()
            cpu, start = _processor_seconds(), time.perf_counter()
            sizes[name] = _write(fill, place / "blob", compressor)
            costs[name].append((time.perf_counter() - start, _processor_seconds() - cpu))
    medians = {name: tuple(map(statistics.median, zip(*rounds, strict=True))) for name, rounds in costs.items()}
    print(f"\n{title}\n  {'':14}       s   cpu s     MB   s/ours  cpu/ours  size/ours")
    for name, (wall, cpu) in medians.items():
        print(
            f"  {name:14}{wall:8.2f}{cpu:8.2f}{sizes[name] / 1e6:7.2f}{wall / medians[_OURS][0]:9.2f}"
            f"{cpu / medians[_OURS][1]:10.2f}{sizes[name] / sizes[_OURS]:11.3f}"
        )


def _write(fill: Callable[[LayerWriter], Origin], blob: Path, compressor: Compressor) -> int:
    with (
        mock.patch.object(members, "deflated", compressor),
        mock.patch.object(cut_members, "deflated", compressor),
        LayerWriter(blob) as writer,
    ):
        return writer.finish(fill(writer)).layer.descriptor.size


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

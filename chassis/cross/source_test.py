"""Tests of source.py: what a build sees of its sources depends on their contents alone."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

from chassis.cross.source import SOURCE_EPOCH_S, copy_sources, unpack_sdist

_FILES = {
    "setup.py": b"from setuptools import setup\n",
    "data/run.sh": b"#!/bin/sh\n",
    "data/table.csv": b"1,2\n",
    "library.so": b"\x7fELF\x02",
}
_EXECUTABLE = {"data/run.sh", "library.so"}


def _state(directory: Path) -> dict[str, tuple[int, float]]:
    """Mode and date of each file and directory."""
    return {
        str(path.relative_to(directory)): (path.stat().st_mode & 0o7777, path.stat().st_mtime)
        for path in sorted(directory.rglob("*"))
    }


def _staged(directory: Path, mode: int, date: int) -> dict[str, Path]:
    """The files as a machine may hand them to an action; `data` as a directory."""
    for name, content in _FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
        os.utime(path, (date, date))
    return {name: directory / name for name in ("setup.py", "data", "library.so")}


def test_sources_are_the_same_whatever_modes_and_dates_they_come_with(tmp_path: Path) -> None:
    states = []
    for number, (mode, date) in enumerate([(0o755, 1), (0o644, 1_700_000_000), (0o555, 1_800_000_000)]):
        copied = copy_sources(_staged(tmp_path / f"staged{number}", mode, date), tmp_path / f"copied{number}")
        states.append(_state(copied))
    assert states[0] == states[1] == states[2]
    assert states[0]["data"] == (0o755, SOURCE_EPOCH_S)
    for name in _FILES:
        assert states[0][name] == (0o755 if name in _EXECUTABLE else 0o644, SOURCE_EPOCH_S), name


def test_an_sdist_keeps_the_modes_and_dates_of_its_archive(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a-1.0.tar.gz", "w:gz") as archive:
        for name, mode, date in [("a-1.0/a.c", 0o644, 1_600_000_000), ("a-1.0/a.pyx", 0o755, 1_500_000_000)]:
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = 1, mode, date
            archive.addfile(member, io.BytesIO(b"x"))
    with zipfile.ZipFile(tmp_path / "a-1.0.zip", "w") as zipped:
        for name, mode, date in [
            ("a-1.0/a.c", 0o644, (2020, 9, 13, 12, 26, 40)),
            ("a-1.0/a.pyx", 0o755, (2017, 7, 14, 2, 40, 0)),
        ]:
            info = zipfile.ZipInfo(name, date)
            info.external_attr = (0o100000 | mode) << 16
            zipped.writestr(info, b"x")
    for name in ("a-1.0.tar.gz", "a-1.0.zip"):
        (tmp_path / name[-3:]).mkdir()
        unpacked = _state(unpack_sdist(tmp_path / name, tmp_path / name[-3:]))
        assert unpacked == {"a.c": (0o644, 1_600_000_000), "a.pyx": (0o755, 1_500_000_000)}, name

"""Tests of wheel_writer.py, against Python's zipfile and the checks that layers make of every wheel."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from chassis.compression import wheel_writer
from chassis.compression.wheel_writer import WheelTooLargeError, write_wheel
from chassis.oci.layer.wheel_source import open_wheel

_DIST_INFO = "small-1.0.dist-info"
_FILES = {
    f"{_DIST_INFO}/METADATA": b"Metadata-Version: 2.1\nName: small\nVersion: 1.0\n",
    f"{_DIST_INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "small/run.sh": b"#!/bin/sh\n" * 100,
    "small/__init__.py": b"",
    'small/a "b", c.txt': b"x",
    "small/größe.txt": "größe\n".encode() * 50,
}


def test_zipfile_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "small-1.0-py3-none-any.whl"
    write_wheel(path, _FILES, _DIST_INFO)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert {name: archive.read(name) for name in _FILES} == _FILES
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        packed = archive.getinfo("small/run.sh")
    assert names[-1] == f"{_DIST_INFO}/RECORD"
    assert names[:-3] == sorted(names[:-3]) and not any(name.startswith(_DIST_INFO) for name in names[:-3])
    assert modes["small/run.sh"] == 0o100755 and modes["small/__init__.py"] == 0o100644
    assert packed.compress_size < packed.file_size // 10


def test_the_checks_of_a_layer_accept_it_and_its_record(tmp_path: Path) -> None:
    path = tmp_path / "small-1.0-py3-none-any.whl"
    write_wheel(path, _FILES, _DIST_INFO)
    with open_wheel(path) as wheel:
        contents = {record[0]: (record, stream.read()) for record, stream, _ in wheel.get_contents()}
    assert {name: data for name, (_, data) in contents.items() if name in _FILES} == _FILES
    hashes = {name: record[1] for name, (record, _) in contents.items() if not name.endswith("/RECORD")}
    assert all(value.startswith("sha256=") for value in hashes.values())


def test_the_order_of_the_files_and_a_record_of_before_make_no_difference(tmp_path: Path) -> None:
    write_wheel(tmp_path / "a.whl", _FILES, _DIST_INFO)
    old = {f"{_DIST_INFO}/RECORD": b"small/gone.py,,\n"}
    write_wheel(tmp_path / "b.whl", old | dict(reversed(_FILES.items())), _DIST_INFO)
    assert (tmp_path / "a.whl").read_bytes() == (tmp_path / "b.whl").read_bytes()


def test_more_files_than_a_zip_archive_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel_writer, "_MAX_FILES", len(_FILES))
    with pytest.raises(WheelTooLargeError, match=r"a\.whl: 6 files"):
        write_wheel(tmp_path / "a.whl", _FILES, _DIST_INFO)
    assert list(tmp_path.iterdir()) == []

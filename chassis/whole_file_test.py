"""Tests of whole_file.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chassis.errors import ChassisError
from chassis.whole_file import whole_file, write_whole


def test_a_file_is_there_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    old = os.umask(0o077)
    try:
        with whole_file(path) as stream:
            stream.write(b"half")
            assert not path.exists()
    finally:
        os.umask(old)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"half", 0o644)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    with pytest.raises(KeyError), whole_file(path) as stream:
        stream.write(b"new")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ChassisError, match=r"none/file: cannot be written: No such file or directory"):
        write_whole(tmp_path / "none/file", b"")
    with pytest.raises(ChassisError, match=r"folder: cannot be written: Is a directory"):
        write_whole(tmp_path / "folder", b"")
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]

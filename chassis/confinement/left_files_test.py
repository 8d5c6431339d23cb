"""What code left behind that means harm, removed: deep, closed, full of links, with names that are in use."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from chassis.confinement.left_files import remove_left, scratch_directory

_DEPTH = 2500
"""Directories within each other: their path has more bytes than a path may have, and Python recurses less deeply."""


def _dig(place: Path, depth: int, name: str = "dd") -> None:
    """Makes directories within each other, with a file in the last, as a model can: one by one."""
    here = os.open(place, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def test_directories_without_end_are_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    _dig(tree, _DEPTH)
    _dig(tree, _DEPTH, "ee")
    with pytest.raises((RecursionError, OSError)):
        shutil.rmtree(tree)
    remove_left(tree)
    assert not list(tmp_path.iterdir())


def test_a_scratch_directory_goes_whatever_was_made_there(tmp_path: Path) -> None:
    with pytest.raises(KeyError), scratch_directory("x-", tmp_path) as scratch:
        _dig(scratch, _DEPTH)
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_links_are_not_followed_and_closed_directories_are_opened(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o500)
    (kept / "file").touch()
    tree = tmp_path / "tree"
    inner = tree / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "link").symlink_to(kept)
    (tree / "link").symlink_to(kept)
    (tree / "nowhere").symlink_to("nowhere")
    os.mkfifo(inner / "pipe")
    os.link(kept / "file", inner / "hard")
    inner.chmod(0)
    (tree / "a").chmod(0)
    remove_left(tree)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (kept / "file").exists()
    assert kept.stat().st_mode & 0o777 == 0o500
    (tmp_path / "link").symlink_to(kept)
    remove_left(tmp_path / "link")
    remove_left(tmp_path / "missing")
    assert (kept / "file").exists()


def test_more_files_than_are_held_at_once_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.confinement.left_files._AT_ONCE", 7)
    for number in range(50):
        (tmp_path / "tree" / f"d{number}").mkdir(parents=True)
        (tmp_path / "tree" / f"d{number}" / "d").mkdir()
        (tmp_path / "tree" / f"f{number}").touch()
        (tmp_path / "tree" / "d0" / f"f{number}").touch()
    remove_left(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()

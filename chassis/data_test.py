"""Tests of chassis.data."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import chassis
from chassis.data import DataNotFoundError


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "data"
    (root / "labels").mkdir(parents=True)
    (root / "weights.npz").write_bytes(b"w")
    (root / "labels/names.txt").write_bytes(b"a\n")
    monkeypatch.setenv("CHASSIS_DATA", str(root))
    return root


def test_data_path_finds_files_and_directories_by_key(data: Path) -> None:
    assert chassis.data_path("weights.npz").read_bytes() == b"w"
    assert (chassis.data_path("labels") / "names.txt").read_bytes() == b"a\n"


def test_a_missing_key_names_the_key_and_those_there_are(data: Path) -> None:
    with pytest.raises(DataNotFoundError) as caught:
        chassis.data_path("weight.npz")
    assert "'weight.npz'" in str(caught.value)
    assert "labels/names.txt, weights.npz" in str(caught.value)
    assert "add it to `data` of the chassis_model; a ChassisModel has it by add_file(…, key='weight.npz')" in str(
        caught.value
    )
    assert isinstance(caught.value, FileNotFoundError)


def test_a_missing_directory_is_the_same_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHASSIS_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataNotFoundError, match="keys there are: none"):
        chassis.data_path("weights.npz")


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../secret", "labels/../../secret"])
def test_a_key_that_leaves_the_directory_is_refused(data: Path, key: str) -> None:
    with pytest.raises(ValueError, match="is not a key"):
        chassis.data_path(key)


def test_a_pickled_path_follows_the_data_directory(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pickled = pickle.dumps([chassis.data_path("weights.npz"), chassis.data_path("labels") / "names.txt"])
    assert str(tmp_path).encode() not in pickled
    moved = data.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("CHASSIS_DATA", str(moved))
    assert pickle.loads(pickled) == [moved / "weights.npz", moved / "labels/names.txt"]

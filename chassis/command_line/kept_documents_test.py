"""Documents that a worker keeps: read once for many actions, and never taken for another."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.command_line.kept_documents import KeptDocuments


@pytest.fixture
def reads() -> list[str]:
    return []


def _kept(reads: list[str], most_bytes: int = 100) -> KeptDocuments[str]:
    def read(path: Path) -> str:
        reads.append(path.name)
        return path.read_text()

    return KeptDocuments(read, most_bytes)


def _written(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text)
    return path


def test_an_input_is_read_once_as_long_as_it_is_the_same(tmp_path: Path, reads: list[str]) -> None:
    kept, path = _kept(reads), _written(tmp_path, "a", "one")
    assert [kept.among({str(path): "1"})(path) for _ in range(3)] == ["one"] * 3
    _written(tmp_path, "a", "two")
    assert kept.among({str(path): "2"})(path) == "two"
    assert reads == ["a", "a"]


def test_what_has_no_digest_is_read_each_time(tmp_path: Path, reads: list[str]) -> None:
    kept, path = _kept(reads), _written(tmp_path, "a", "one")
    assert kept.among({str(path): ""})(path) == kept.among({})(path) == "one"
    assert reads == ["a", "a"]


def test_two_files_of_one_digest_are_told_apart_since_errors_name_the_file(tmp_path: Path, reads: list[str]) -> None:
    kept, paths = _kept(reads), [_written(tmp_path, name, "one") for name in "ab"]
    for path in paths:
        kept.among({str(path): "1"})(path)
    assert reads == ["a", "b"]


def test_those_that_were_not_read_for_longest_go_first(tmp_path: Path, reads: list[str]) -> None:
    kept = _kept(reads, most_bytes=6)
    paths = {name: _written(tmp_path, name, "xxx") for name in "abc"}
    read = kept.among({str(path): "1" for path in paths.values()})
    for name in "abacab":
        read(paths[name])
    assert reads == ["a", "b", "c", "b"]


def test_one_that_is_larger_than_all_that_is_kept_is_read_all_the_same(tmp_path: Path, reads: list[str]) -> None:
    kept, path = _kept(reads, most_bytes=2), _written(tmp_path, "a", "one")
    assert kept.among({str(path): "1"})(path) == kept.among({str(path): "1"})(path) == "one"
    assert reads == ["a", "a"]

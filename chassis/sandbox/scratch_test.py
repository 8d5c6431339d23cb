"""Where temporary programs go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chassis.sandbox.errors import SandboxError
from chassis.sandbox.scratch import scratch_place


def _noexec(places: set[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs

    def statvfs(path: Path) -> os.statvfs_result:
        found = list(real(path))
        found[8] = found[8] | os.ST_NOEXEC if Path(path) in places else found[8] & ~os.ST_NOEXEC
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "statvfs", statvfs)


def test_a_place_that_runs_no_programs_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("TEST_TMPDIR", str(tmp_path / "first"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "second"))
    _noexec({tmp_path / "first"}, monkeypatch)
    assert scratch_place() == (tmp_path / "second").resolve()


def test_the_directory_beside_an_output_comes_first(tmp_path: Path) -> None:
    assert scratch_place(beside=tmp_path) == tmp_path.resolve()


def test_no_place_is_an_error_that_names_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_TMPDIR", str(tmp_path))
    monkeypatch.delenv("TMPDIR", raising=False)
    _noexec({tmp_path, *map(Path, ("/tmp", "/var/tmp", "."))}, monkeypatch)
    with pytest.raises(SandboxError, match=f"{tmp_path} is mounted with noexec, /tmp is mounted.*\n.*TMPDIR"):
        scratch_place()

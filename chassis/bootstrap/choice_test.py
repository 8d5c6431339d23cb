"""Tests of choice.py with programs that behave as a machine's bazel or bazelisk may."""

from __future__ import annotations

import contextlib
import io
import time
from pathlib import Path

from chassis.bootstrap.choice import Candidates, Choice, find_defect, first_that_works, read, write
from chassis.bootstrap.progress import Progress

_WORKS = 'case "$*" in --version) echo bazel 7.7.1 ;; *"query"*) test -f MODULE.bazel ;; *) exit 9 ;; esac'


def _program(directory: Path, body: str, name: str = "bazel") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def _line(path: Path) -> str:
    return f"-rwxr-xr-x 1 0 0 10 Jan  1 00:00 {path}"


def test_a_program_that_works_has_no_defect(tmp_path: Path) -> None:
    assert find_defect(_program(tmp_path, _WORKS), "7.7.1", 10) is None


def test_a_program_is_given_the_version_that_the_workspace_asks_for(tmp_path: Path) -> None:
    body = f'test "$(cat .bazelversion)" = 8.1.0 || exit 3\n{_WORKS}'
    assert find_defect(_program(tmp_path, body), "8.1.0", 10) is None
    assert find_defect(_program(tmp_path, body), "7.7.1", 10) is not None


_DEFECTS = {
    "echo could not download Bazel: no such host >&2; exit 1": "it does not start: could not download Bazel",
    "exit 7": "exit status 7",
    "echo bazel 4.2.3-debian": "it is bazel 4.2.3-debian, and version 7 or newer is needed",
    "echo something else": "it does not start: something else",
    'if [ "$1" = --version ]; then echo bazel 8.0.0; else echo ERROR: registry unreachable; exit 48; fi': (
        "it cannot resolve a module of the central registry: ERROR: registry unreachable"
    ),
}


def test_a_program_that_does_not_work_is_described(tmp_path: Path) -> None:
    for body, expected in _DEFECTS.items():
        assert expected in str(find_defect(_program(tmp_path, body), "", 10)), body


def test_a_file_that_is_no_program_is_described(tmp_path: Path) -> None:
    path = tmp_path / "bazel"
    path.write_bytes(b"\x7fELF garbage")
    path.chmod(0o755)
    assert "it does not start" in str(find_defect(path, "", 10))


def test_a_program_that_hangs_is_given_up_with_its_children(tmp_path: Path) -> None:
    program = _program(tmp_path, f"(sleep 60; touch {tmp_path}/late) & echo $! >{tmp_path}/child; sleep 60")
    start = time.monotonic()
    assert "no answer in time" in str(find_defect(program, "", 0.5))
    assert time.monotonic() - start < 5
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # Once it is gone.
        while child.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() - start < 5, "the child outlived the program"


def test_the_first_that_works_is_taken_and_the_others_are_told(tmp_path: Path) -> None:
    broken = _program(tmp_path / "a", "exit 1")
    works = _program(tmp_path / "b", _WORKS, "bazelisk")
    said = io.StringIO()
    assert first_that_works(Candidates(_line(broken), _line(works), ""), Progress(said), 10) == works
    assert f"passed over {broken}" in said.getvalue()
    assert first_that_works(Candidates(_line(broken), "none", ""), Progress(said), 10) is None


def test_paths_with_spaces_are_understood() -> None:
    candidates = Candidates(_line(Path("/a b/c d/bazel")), "none", "7.7.1")
    assert candidates.programs() == [Path("/a b/c d/bazel")]
    assert Candidates("none", "", "").programs() == []


def test_a_decision_is_read_as_it_was_written(tmp_path: Path) -> None:
    candidates = Candidates(_line(Path("/x/bazel")), "none", "7.7.1")
    choice = Choice("tree", Path("/cache/trees/7.7.1-1"))
    write(tmp_path / "choice", choice, candidates)
    assert read(tmp_path / "choice") == (choice, candidates)
    assert read(tmp_path / "nowhere") is None
    (tmp_path / "short").write_text("tree\n")
    assert read(tmp_path / "short") is None
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("choice.")] == []

"""Tests of staged.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.command_line.staged import staged

_NAMED = "bazel-out/k8/bin/tool.runfiles/zig/root"


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ([_NAMED], _NAMED),
        (["external/zig/root"], "external/zig/root"),
        ([_NAMED, "external/zig/root"], _NAMED),
        ([], _NAMED),
    ],
)
def test_a_directory_is_found_in_the_runfiles_or_where_old_bazel_stages_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: list[str], found: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in there:
        (tmp_path / path).mkdir(parents=True)
    assert staged(_NAMED) == Path(found)

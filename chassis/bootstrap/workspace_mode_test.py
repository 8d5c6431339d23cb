"""Tests of workspace_mode.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.bootstrap.workspace_mode import read_mode

_CASES = {
    "": (None, None),
    "build --sandbox_default_allow_network=false\n": (None, None),
    "common --noenable_bzlmod\ncommon --enable_workspace\n": (False, True),
    "common --enable_bzlmod=false --enable_workspace=true # once\n": (False, True),
    "common:workspace --noenable_bzlmod\n": (None, None),
    "common --noenable_bzlmod\nbuild --enable_bzlmod\n": (True, None),
    "common \\\n  --noenable_bzlmod\n": (False, None),
    "try-import %workspace%/more.bazelrc\ntry-import %workspace%/absent\n": (False, None),
    "common --enable_bzlmod\nimport %workspace%/more.bazelrc\n": (False, None),
    'build "--unclosed\n': (None, None),
}


@pytest.mark.parametrize("text", _CASES)
def test_the_last_word_without_a_config_counts(text: str, tmp_path: Path) -> None:
    (tmp_path / ".bazelrc").write_text(text)
    (tmp_path / "more.bazelrc").write_text("common --noenable_bzlmod\n")
    mode = read_mode(tmp_path)
    assert (mode.bzlmod, mode.workspace) == _CASES[text]


def test_every_file_that_could_change_it_is_named(tmp_path: Path) -> None:
    (tmp_path / ".bazelrc").write_text("try-import %workspace%/absent\n")
    assert read_mode(tmp_path).files == (tmp_path / ".bazelrc", tmp_path / "absent")


def test_a_file_that_imports_itself_comes_to_an_end(tmp_path: Path) -> None:
    (tmp_path / ".bazelrc").write_text("import %workspace%/.bazelrc\ncommon --noenable_bzlmod\n")
    assert read_mode(tmp_path).is_workspace

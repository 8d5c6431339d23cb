"""Tests of chassis.packaging.staged_inputs."""

from __future__ import annotations

import contextlib
from pathlib import Path

from chassis.packaging.sample_models import written
from chassis.packaging.staged_inputs import real_trees


def test_the_real_place_of_a_tree_is_found_if_its_first_file_is_a_link_in_it(tmp_path: Path) -> None:
    written(tmp_path / "real" / "tree" / "b", b"content")
    (tmp_path / "real" / "tree" / "a").symlink_to("b")
    sandbox = tmp_path / "sandbox" / "tree"
    sandbox.mkdir(parents=True)
    for name in ("a", "b"):
        (sandbox / name).symlink_to(tmp_path / "real" / "tree" / name)
    with contextlib.chdir(tmp_path / "sandbox"):
        found = real_trees(["tree"], {"tree/a": "", "tree/b": ""})
    assert found == {"tree": tmp_path / "real" / "tree"}

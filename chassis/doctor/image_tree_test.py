"""Paths of an image: links as the kernel follows them, layers over each other."""

from __future__ import annotations

import pytest

from chassis.doctor.facts import LayerFacts
from chassis.doctor.image_tree import ImageTree
from chassis.oci.descriptor import LayerFile, Origin


def _layer(*files: tuple[str, str, str]) -> LayerFacts:
    """A layer of (path, type, link or content)."""
    rows = [
        LayerFile(path, kind, 0o644, 1, what if kind == "file" else "", "" if kind == "file" else what)
        for path, kind, what in files
    ]
    return LayerFacts("sha256:0", Origin("data", "x"), tuple(rows))


_TREE = ImageTree(
    [
        _layer(
            ("lib", "symlink", "usr/lib"),
            ("usr", "dir", ""),
            ("usr/lib", "dir", ""),
            ("usr/lib/x86_64-linux-gnu/libc.so.6", "file", "a"),
            ("usr/lib/libc.so", "symlink", "x86_64-linux-gnu/libc.so.6"),
            ("usr/bin/python3", "symlink", "/usr/bin/python3.11"),
            ("usr/bin/python3.11", "file", "b"),
            ("opt/venv/bin/python", "symlink", "../../../usr/bin/python3"),
            ("a", "symlink", "b"),
            ("b", "symlink", "a"),
            ("out", "symlink", "../../usr/bin/python3.11"),
            ("usr/bin/same", "hardlink", "usr/bin/python3.11"),
        )
    ]
)
RESOLVED = {
    "lib/x86_64-linux-gnu/libc.so.6": "usr/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/libc.so": "usr/lib/x86_64-linux-gnu/libc.so.6",
    "opt/venv/bin/python": "usr/bin/python3.11",
    "usr/bin/../lib/libc.so": "usr/lib/x86_64-linux-gnu/libc.so.6",
    "lib/../bin/python3": "usr/bin/python3.11",  # `..` after a link leads to the parent of where it points
    "usr/./bin/python3.11": "usr/bin/python3.11",
    "out": "usr/bin/python3.11",  # above the root is the root
    "usr/bin/same": "usr/bin/python3.11",
    "usr/lib": "usr/lib",
    "opt/venv": "opt/venv",
    "a": None,
    "usr/bin/nothing": None,
    "usr/bin/python3.11/x": None,
    "nowhere/x": None,
}


@pytest.mark.parametrize("path", RESOLVED)
def test_links_are_followed_within_the_root(path: str) -> None:
    assert _TREE.resolve(path) == RESOLVED[path]


def test_upper_layer_hides_and_opaque_directories_empty() -> None:
    tree = ImageTree(
        [
            _layer(("etc/a", "file", "1"), ("etc/b", "file", "1"), ("var/x/1", "file", "1"), ("ab", "file", "1")),
            _layer(
                (".wh.a", "file", ""),
                ("etc/.wh.a", "file", ""),
                ("var/.wh..wh..opq", "file", ""),
                ("var/y", "file", "1"),
            ),
        ]
    )
    assert {placed.file.path for placed in tree if placed.file.type == "file"} == {"etc/b", "var/y", "ab"}
    assert tree.conflicts == []


def test_different_things_at_one_path_are_conflicts() -> None:
    lower = _layer(("a", "file", "1"), ("b", "file", "1"), ("c", "symlink", "a"), ("d", "dir", ""), ("e", "dir", ""))
    upper = _layer(("a", "file", "2"), ("b", "file", "1"), ("c", "symlink", "b"), ("d", "dir", ""), ("e", "file", "1"))
    tree = ImageTree([lower, upper])
    assert [conflict.later.file.path for conflict in tree.conflicts] == ["a", "c", "e"]
    assert tree.conflicts[0].earlier.layer == 0

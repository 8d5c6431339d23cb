"""Tests of what a predict function may hold: modules as a whole, functions that `functools` made."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.packaging.sample_models import call, package, written


@pytest.mark.parametrize("packages", [{}, {"__init__.py": ""}], ids=["namespace", "package"])
def test_modules_that_are_held_whole_are_pickled_with_what_they_hold(tmp_path: Path, packages: dict[str, str]) -> None:
    sources = {
        "model.py": "import ml.common\ndef process(a): return ml.common.scale(len(a))\ndef twice(n): return n * 2",
        "common.py": "import ml.model\nfrom ml import other\ndef scale(n): return ml.model.twice(n) + other.ONE",
        "other.py": "import ml.common\nONE = 1",
        **packages,
    }
    packaged = package(tmp_path, sources)
    assert call(packaged, tmp_path, "b'a'") == "3"
    assert package(tmp_path / "again", sources).pickle == packaged.pickle


def test_a_package_that_dependencies_share_is_by_value_and_they_are_not(tmp_path: Path) -> None:
    sources = {
        "model.py": "import ml.common, ml.shared\ndef process(a): return ml.common.add(ml.shared.VALUE, len(a))",
        "common.py": "def add(a, b): return a + b",
    }
    shared = written(tmp_path / "deps" / "ml" / "shared.py", b"VALUE = 40").parent.parent
    packaged = package(tmp_path, sources, import_paths=[shared])
    assert call(packaged, tmp_path, "b'ab'", shared) == "42"
    (shared / "ml" / "shared.py").write_text("VALUE = 500")
    assert call(packaged, tmp_path, "b'ab'", shared) == "502"


DISPATCH = """
import functools


@functools.singledispatch
def kind(value):
    return "object"


@kind.register
def _(value: bytes):
    return "bytes of " + kind(len(value))


@kind.register(int)
@kind.register(float)
def number(value):
    return "number"


class Kinds:
    @functools.singledispatchmethod
    def kind(self, value):
        return "object"

    @kind.register
    def _(self, value: bytes):
        return "bytes"


def process(content: bytes) -> list:
    return [kind(content), kind(None), kind(1.5), Kinds().kind(content), kind.__name__]
"""


def test_functions_of_singledispatch_are_taken_apart_and_put_together(tmp_path: Path) -> None:
    packaged = package(tmp_path, {"model.py": DISPATCH})
    assert call(packaged, tmp_path, "b'a'") == "['bytes of number', 'object', 'number', 'bytes', 'kind']"
    assert package(tmp_path / "again", {"model.py": DISPATCH}).pickle == packaged.pickle

"""Tests of places.py, and of what of the package has to run on old Pythons."""

from __future__ import annotations

import ast
import io
import re
import threading
from pathlib import Path

import pytest

from chassis.bootstrap.places import FORMAT, Places, find_places, locked
from chassis.bootstrap.progress import Progress
from chassis.errors import ChassisError


def test_the_first_of_the_three_directories_that_is_named_is_taken(tmp_path: Path) -> None:
    environment = {
        "CHASSIS_CACHE": f"{tmp_path}/a",
        "XDG_CACHE_HOME": f"{tmp_path}/b",
        "HOME": f"{tmp_path}/c",
    }
    assert find_places(environment).root == tmp_path / "a/bazel"
    del environment["CHASSIS_CACHE"]
    assert find_places(environment).root == tmp_path / "b/chassis/bazel"
    del environment["XDG_CACHE_HOME"]
    assert find_places(environment).root == tmp_path / "c/.cache/chassis/bazel"
    with pytest.raises(ChassisError, match="neither CHASSIS_CACHE nor XDG_CACHE_HOME nor HOME"):
        find_places({})


def test_a_directory_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ChassisError, match=r"file/bazel cannot be made .* set CHASSIS_CACHE"):
        find_places({"CHASSIS_CACHE": f"{tmp_path}/file"})


def test_the_second_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    places = Places(tmp_path)
    said = io.StringIO()
    order: list[str] = []

    def second() -> None:
        with locked(places, Progress(said)):
            order.append("second")

    with locked(places, Progress(io.StringIO())):
        thread = threading.Thread(target=second)
        thread.start()
        while "waiting" not in said.getvalue():
            thread.join(0.01)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def _sources() -> list[Path]:
    package = Path(__file__).parent
    debian = [package.parent / "debian" / f"{name}.py" for name in ("__init__", "apt", "download", "sources")]
    own = [path for path in package.glob("*.py") if not path.name.endswith("_test.py")]
    return [*own, *debian, *(package.parent / f"{name}.py" for name in ("__init__", "errors", "user_cache"))]


def test_what_runs_before_bazel_has_the_syntax_of_python_3_8() -> None:
    assert len(_sources()) > 10
    for path in _sources():
        ast.parse(path.read_text(), str(path), feature_version=(3, 8))


def _is_for_type_checkers(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def test_what_runs_before_bazel_imports_the_standard_library_alone() -> None:
    for path in _sources():
        tree = ast.parse(path.read_text())
        tree.body = [node for node in tree.body if not _is_for_type_checkers(node)]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chassis"):
                assert re.match(r"chassis\.(bootstrap|debian|errors|data|user_cache)", node.module or ""), path
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {"absl", "packaging", "numpy"} & set(names), path


def test_bazelw_and_the_package_agree_on_the_format() -> None:
    script = Path(__file__).parents[2] / "bazelw"
    assert re.search(rf"^format={FORMAT} ", script.read_text(), re.MULTILINE)

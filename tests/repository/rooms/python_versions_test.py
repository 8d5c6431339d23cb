"""A version of Python stands in the table of them alone: nothing else decides by one, in Python or in Starlark.

What counts is a text that is a version or has one in a name (`3.11`, `lib/python3.13`, `cp312`, `linux_amd64_py314`),
and a pair of numbers such as `(3, 11)`. Documentation, comments and sentences, which say "such as 3.11", do not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import chassis

_ROOT = Path(chassis.__file__).parents[1]

_VERSION = re.compile(r"(?<![\d.])3\.1\d(\.\d+)?(?![\d.])|(cp|py|python)3\.?1\d(?!\d)")

ALLOWED = {
    "chassis/declaration/pythons.py": "the table",
    "rules/private/declaration/declared.bzl": "its copy for Starlark, written from it",
    "chassis/packaging/bytecode.py": "what the bytecode of each version looks like: a foreign pickle's is named",
    "chassis/runtime/base64_text.py": "what the Python that runs can do",
    "rules/private/model/model_tool.bzl": "how a Python of images that does not know -P is started",
    "rules/repositories.bzl": "the names of locks, as MODULE.bazel has them, which cannot read the table",
    "rules/private/registry/oci_pull.bzl": "the name of a repository of the tools' lock",
}
"""File to what it has versions for."""


def _sources(root: Path) -> Iterator[Path]:
    """What users have: not tests, nor what is for this repository alone (`rules/private/development`)."""
    for path in sorted([*(root / "chassis").rglob("*.py"), *(root / "rules").rglob("*.bzl")]):
        test = path.name.endswith(("_test.py", "_test.bzl", "_pb2.py", "_pb2_grpc.py")) or path.name.startswith(
            "sample_"
        )
        if not test and path.parent.name != "development":
            yield path


def _decides(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return bool(re.fullmatch(r"[\w./@:~+-]+", node.value) and _VERSION.search(node.value))
    if isinstance(node, ast.Tuple) and len(node.elts) == 2:
        major, minor = (one.value if isinstance(one, ast.Constant) else None for one in node.elts)
        return major == 3 and type(minor) is int and 10 <= minor < 20
    return False


def _found(root: Path) -> dict[str, list[int]]:
    """File, from the root, to the lines that have a version."""
    found: dict[str, list[int]] = {}
    for path in _sources(root):
        lines = [node.lineno for node in ast.walk(ast.parse(path.read_bytes(), str(path))) if _decides(node)]  # type: ignore[attr-defined]
        if lines:
            found[path.relative_to(root).as_posix()] = sorted(set(lines))
    return found


def test_only_the_table_has_versions() -> None:
    assert set(_found(_ROOT)) == set(ALLOWED)


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("chassis/a.py", 'PYTHON = "3.11"\n', [1]),
        ("chassis/a.py", "import sys\nNEW = sys.version_info >= (3, 12)\n", [2]),
        ("chassis/a.py", 'def place(root):\n    return f"{root}/lib/python3.13/x"\n', [2]),
        ("rules/a.bzl", 'load(":b.bzl", "b")\n_LOCK = "linux_amd64_py314"\n_TAG = ["cp310"]\n', [2, 3]),
        ("chassis/a.py", 'def f():\n    """`3.11`."""\n', []),
        ("chassis/a.py", '"""Such as 3.11."""\nWHAT = "not a version such as 3.11"\nRATIO = "13.11"\n# 3.11\n', []),
        ("chassis/a_test.py", 'PYTHON = "3.11"\n', []),
    ],
)
def test_what_decides_is_found(tmp_path: Path, name: str, text: str, lines: list[int]) -> None:
    for room in ("chassis", "rules"):
        (tmp_path / room).mkdir()
    (tmp_path / name).write_text(text)
    assert _found(tmp_path) == ({name: lines} if lines else {})

"""What docs/frameworks.md says of examples: each is a package of at most 60 lines, which a copy has as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

EXAMPLES = Path("examples")
NAMES = ["litert", "mlflow", "onnx", "scikit_learn", "streaming", "transformers"]
MAX_LINES = 60
NOT_COPIED = {
    "# Chassis' own tests read these.",
    'exports_files(glob(["**"]))',
    'package(default_visibility = ["//visibility:public"])',
}
FOUND_ANYWHERE = (
    "@chassis//rules:defs.bzl",
    "@chassis//platforms:",
    "@rules_python//python:defs.bzl",
    "//visibility:public",
)
HUB = "@frameworks//"
MAKES_WEIGHTS = "make.py"
"""Stands for a model that a user has already."""


def files(name: str) -> list[Path]:
    return [EXAMPLES / name / "BUILD.bazel", *sorted((EXAMPLES / name).glob("*.py"))]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_at_most_60_lines(name: str) -> None:
    lines = [line for file in files(name) if file.name != MAKES_WEIGHTS for line in file.read_text().splitlines()]
    assert len([line for line in lines if line.strip() and line not in NOT_COPIED]) <= MAX_LINES


@pytest.mark.parametrize("name", NAMES)
def test_an_example_names_nothing_that_a_copy_lacks(name: str) -> None:
    build, *sources = files(name)
    labels = re.findall(r'"((?:@|//)[^"]*)"', build.read_text())
    assert "@chassis//rules:defs.bzl" in labels
    assert [label for label in labels if not label.startswith((*FOUND_ANYWHERE, HUB))] == []
    assert [
        file for file in sources if re.search(r"^(from|import) (examples|tests)\b", file.read_text(), re.MULTILINE)
    ] == []

"""The written files are as the code says, and nothing public is without its words."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from chassis.declaration.model import ModelMetadata
from chassis.declaration.model_io import ModelInput
from chassis.reference.pages import written_files
from chassis.reference.starlark_docs_pb2 import Module

_ROOT = Path(__file__).parent.parent.parent
FILES = written_files()
DEFS = Module.FromString(Path(os.environ["DEFS_DOC"]).read_bytes())
(CHASSIS_MODEL,) = (function for function in DEFS.functions if function.name == "chassis_model")
ARGUMENTS = {one.name: one for one in CHASSIS_MODEL.parameters}


@pytest.mark.parametrize("name", FILES)
def test_a_written_file_is_as_the_code_says(name: str) -> None:
    assert (_ROOT / name).read_text() == FILES[name], "write it again with: bazel run //docs:update"


def test_no_page_is_left_of_what_is_gone() -> None:
    there = {path.relative_to(_ROOT).as_posix() for path in (_ROOT / "docs/reference").iterdir()}
    assert there == {name for name in FILES if name.startswith("docs/reference/")}


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".md")])
def test_no_row_is_without_words_and_no_name_of_this_machine_is_there(name: str) -> None:
    empty = [line for line in FILES[name].splitlines() if re.match(r"\| `[^|]*` \|(?: (?:[a-z: ]+ )?\|)?  \|", line)]
    assert not empty
    assert "/execroot/" not in FILES[name]
    assert "@@" not in FILES[name]


def _starlark(value: Any) -> str:
    """A default as Starlark shows it."""
    if value == ():
        return "[]"
    if isinstance(value, tuple):
        return str({part.name: part.media_type for part in value}).replace("'", '"')
    return f'"{value}"' if isinstance(value, str) else str(value)


@pytest.mark.parametrize(
    "field",
    [one for one in ModelMetadata.FIELDS if one.attribute.startswith("chassis_model.")],
    ids=lambda field: field.name,
)
def test_chassis_model_has_the_default_and_the_words_of_the_declaration(field: Any) -> None:
    name = field.attribute.partition(".")[2]
    assert name in ARGUMENTS, f"rules/private/model/chassis_model.bzl has no argument {name}, or no line for it in Args"
    argument = ARGUMENTS[name]
    assert " ".join(argument.doc.split()) == field.doc, f"Args of chassis_model.bzl, {name}: not the field's words"
    if field.name == "columns":  # pairs, which are a dict in a BUILD file
        assert argument.default_value == "{}"
    elif field.name not in ("name", "model_name"):
        assert argument.default_value == _starlark(field.default)


def test_what_is_said_of_an_input_or_output_is_an_argument() -> None:
    for one in ModelInput.FIELDS:
        if one.attribute:
            assert ARGUMENTS[one.attribute.partition(".")[2]].default_value == "{}"

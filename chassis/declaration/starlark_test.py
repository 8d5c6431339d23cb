"""Starlark's copy of the declarations is the one that is written from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.declaration.kinds import MetadataError
from chassis.declaration.starlark import NO_TENSORS, TENSORS, declared_bzl
from chassis.declaration.tensor import parse_tensor, shown

_ROOT = Path(__file__).parent.parent.parent


def test_the_copy_is_as_written() -> None:
    written = (_ROOT / "rules/private/declaration/declared.bzl").read_text()
    assert written == declared_bzl(), "write it again with: bazel run //docs:update"


@pytest.mark.parametrize("text", TENSORS)
def test_a_tensor_is_taken_and_shown_as_one_that_means_the_same(text: str) -> None:
    datatype, shape = parse_tensor(text)
    assert datatype == "BYTES" or parse_tensor(shown(datatype, shape)) == (datatype, shape)


@pytest.mark.parametrize("text", NO_TENSORS)
def test_what_is_not_a_tensor_is_refused(text: str) -> None:
    with pytest.raises(MetadataError, match="is not a tensor"):
        parse_tensor(text)

"""Numbers of case files as tensors, there and back."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from chassis.declaration.model_io import ModelInput, ModelOutput
from chassis.image_test.case_file import read_cases
from chassis.image_test.tensors import TensorError, numbers, with_tensors


def _sent(folder: Path, value: object, tensor: str) -> bytes:
    path = folder / "case.json"
    path.write_text(json.dumps({"input": value}))
    [case] = read_cases(path)
    [item] = with_tensors(case, {"input": ModelInput("input", tensor=tensor)}).inputs
    return item["input"]


@pytest.mark.parametrize(
    ("tensor", "value", "content"),
    [
        ("FP64[]", 44, struct.pack("<d", 44)),
        ("FP32[2,-1]", [[1, 2.5, 3], [4, 5, 6]], struct.pack("<6f", 1, 2.5, 3, 4, 5, 6)),
        ("INT64[2]", [-1, 2], struct.pack("<2q", -1, 2)),
        ("BOOL[2]", [True, False], b"\x01\x00"),
        ("BF16[2]", [1.0, -2.0], b"\x80\x3f\x00\xc0"),
    ],
)
def test_numbers_are_packed_and_unpacked(tmp_path: Path, tensor: str, value: object, content: bytes) -> None:
    assert _sent(tmp_path, value, tensor) == content
    assert numbers(content, ModelOutput("y", tensor=tensor)) == value


def test_what_says_its_bytes_is_sent_as_it_is(tmp_path: Path) -> None:
    assert _sent(tmp_path, {"base64": "AAA="}, "FP64[]") == b"\0\0"
    assert _sent(tmp_path, {"json": 44}, "FP64[]") == b"44"


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        ("FP64[]", [1]),
        ("FP32[2]", [1, 2, 3]),
        ("FP32[-1,2]", [[1, 2], [3]]),
        ("INT8[]", 300),
        ("BOOL[]", 1),
        ("FP32[]", None),
    ],
)
def test_numbers_that_do_not_fit_say_what_the_model_declares(tmp_path: Path, tensor: str, value: object) -> None:
    with pytest.raises(TensorError) as raised:
        _sent(tmp_path, value, tensor)
    assert f"case case, input 'input': expected {tensor}".removesuffix("[]") in str(raised.value)

"""Commands of curl for models of every kind."""

from __future__ import annotations

import json
import shlex

import pytest

from chassis.declaration.columns import Column
from chassis.declaration.model_io import ModelInput
from chassis.image_test.curl_lines import curl_lines

URL = "http://127.0.0.1:8080"
BOTH = ["v1-http", "v2-http"]


@pytest.mark.parametrize(
    ("signature", "inputs", "instance", "tensors"),
    [
        ("bytes", [ModelInput("input", "application/json")], {}, [("input", "BYTES", [1], ["{}"])]),
        ("bytes", [ModelInput("input", "text/plain; charset=utf-8")], "text", [("input", "BYTES", [1], ["text"])]),
        ("bytes", [ModelInput("photo", "image/png")], {"b64": ""}, [("photo", "BYTES", [1], [""])]),
        (
            "mapping",
            [ModelInput("row", tensor="FP32[2,-1]"), ModelInput("n", tensor="INT64[]")],
            {"row": [[0, 0], [0, 0]], "n": 0},
            [("row", "FP32", [1, 2, 2], [0] * 4), ("n", "INT64", [1], [0])],
        ),
    ],
)
def test_a_command_has_an_example_of_each_input(
    signature: str, inputs: list[ModelInput], instance: object, tensors: list[tuple]
) -> None:
    v1, v2 = (shlex.split(line) for line in curl_lines("digits", signature, inputs, BOTH, URL))
    assert v1[2] == f"{URL}/v1/models/digits:predict"
    assert json.loads(v1[4]) == {"instances": [instance]}
    assert v2[2] == f"{URL}/v2/models/digits/infer"
    assert [tuple(tensor.values()) for tensor in json.loads(v2[4])["inputs"]] == tensors


def test_a_row_is_asked_by_its_columns() -> None:
    columns = [Column("amount", "FP64?"), Column("city", "TEXT")]
    inputs = [ModelInput("input", "application/json")]
    v1, v2 = (shlex.split(line) for line in curl_lines("m", "table", inputs, BOTH, URL, columns))
    assert json.loads(v1[4]) == {"instances": [{"amount": 1.5, "city": "text"}]}
    assert json.loads(v2[4]) == {
        "inputs": [
            {"name": "amount", "datatype": "FP64", "shape": [1], "data": [1.5]},
            {"name": "city", "datatype": "BYTES", "shape": [1], "data": ["text"]},
        ]
    }


def test_only_what_is_served_is_asked() -> None:
    inputs = [ModelInput("input")]
    assert curl_lines("digits", "bytes", inputs, ["omi", "v2-grpc"], URL) == []
    assert len(curl_lines("digits", "bytes", inputs, ["v2-http"], URL)) == 1

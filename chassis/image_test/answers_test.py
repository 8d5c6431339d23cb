"""Answers written into case files: what is near stays, what differs is replaced, and reading it again agrees."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest

from chassis.declaration.model_io import ModelOutput
from chassis.image_test.answers import formatted, updated
from chassis.image_test.case_file import read_cases
from chassis.image_test.comparison import ItemResult, compare

TOLERANCE = 1e-6
TENSORS = {"scores": ModelOutput("scores", tensor="FP32[-1]")}


def write_answers(folder: Path, document: Any, *answers: list[ItemResult]) -> Any:
    path = folder / "case.json"
    path.write_text(json.dumps(document))
    after = updated(document, read_cases(path), answers, TOLERANCE, TENSORS)
    path.write_text(formatted(after))
    for case, results in zip(read_cases(path), answers, strict=True):
        assert compare(case, results, TOLERANCE, TENSORS).findings == ()
    return after


def result(success: bool = True, **output: bytes) -> ItemResult:
    return ItemResult(success, {key.replace("_json", ".json"): content for key, content in output.items()})


@pytest.mark.parametrize(
    ("content", "written"),
    [
        (b'{"a": 0.123456789123, "b": [1, 123456.7891234]}', {"a": 0.1234568, "b": [1, 123456.79]}),
        (b"plain text", "plain text"),
        (b'"a string"', {"json": "a string"}),
        (b'{"text": "x"}', {"json": {"text": "x"}}),
        (b"42", 42),
        (b"\xff\x00", {"base64": "/wA="}),
    ],
)
def test_the_answer_is_written_so_that_it_is_read_as_it_was(tmp_path: Path, content: bytes, written: object) -> None:
    found = write_answers(tmp_path, {"name": "n", "input": 1}, [result(results_json=content)])
    assert found == {"name": "n", "input": 1, "output": written}


def test_what_is_near_enough_stays(tmp_path: Path) -> None:
    document = [{"input": 1, "output": 0.5000001}, {"input": 2, "output": 3}]
    found = write_answers(tmp_path, document, [result(results_json=b"0.5")], [result(results_json=b"4")])
    assert found == [{"input": 1, "output": 0.5000001}, {"input": 2, "output": 4}]


def test_an_error_takes_the_place_of_an_output(tmp_path: Path) -> None:
    found = write_answers(tmp_path, {"input": 1, "output": 3}, [result(False, error=b"no weights")])
    assert found == {"input": 1, "error": "no weights"}


def test_items_and_tensors(tmp_path: Path) -> None:
    content = struct.pack("<2f", 0.1, 2)
    items = [result(scores=content, label=b"b"), result(False, error=b"bad")]
    found = write_answers(tmp_path, {"inputs": [{"x": 1}, {"x": 2}], "outputs": [{}, {}]}, items)
    assert found["outputs"] == [{"scores": [0.1, 2.0], "label": "b"}, {"error": "bad"}]


def test_long_vectors_are_summarised(tmp_path: Path) -> None:
    vector = [math.sin(place) for place in range(768)]
    found = write_answers(tmp_path, {"input": 1}, [result(results_json=json.dumps({"v": vector}).encode())])
    assert found["output"]["v"]["$vector"]["shape"] == [768]
    assert len(formatted(found)) < 300


def test_a_case_without_an_answer_and_one_of_accuracy_stay(tmp_path: Path) -> None:
    accuracy = {"inputs": [{"input": 1}], "accuracy": {"select": [], "labels": [[1]], "at_least": 1}}
    path = tmp_path / "case.json"
    path.write_text(json.dumps([accuracy, {"input": 1, "output": 2}]))
    document = json.loads(path.read_text())
    assert updated(document, read_cases(path), [[result(results_json=b"9")], None], TOLERANCE, {}) == document


def test_json_has_on_a_line_what_fits() -> None:
    value = {"input": list(range(8)), "output": [{"class": place, "score": 0.125} for place in range(6)]}
    text = formatted(value)
    assert json.loads(text) == value
    assert '  "input": [0, 1, 2, 3, 4, 5, 6, 7],\n' in text
    assert max(map(len, text.splitlines())) <= 120

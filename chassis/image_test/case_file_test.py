"""The format of case files: every form, and every mistake with its message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chassis.image_test.case_file import (
    CONTAINS,
    EQUAL_BYTES,
    EQUAL_JSON,
    PARTIAL_JSON,
    Case,
    CaseFileError,
    Expectation,
    read_cases,
)


def read(folder: Path, document: object) -> list[Case]:
    path = folder / "seven.json"
    path.write_text(json.dumps(document))
    return read_cases(path)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("text", b"text"),
        ({"text": "é"}, "é".encode()),
        ({"file": "data.bin"}, b"\x00\xff"),
        ({"base64": "AP8="}, b"\x00\xff"),
        ({"json": "text"}, b'"text"'),
        ([1, 2.5, None], b"[1,2.5,null]"),
        ({"file": "x", "more": 1}, b'{"file":"x","more":1}'),
        ({"é": "ß"}, '{"é":"ß"}'.encode()),
    ],
)
def test_values_are_sent_as_the_format_says(tmp_path: Path, value: object, sent: bytes) -> None:
    (tmp_path / "data.bin").write_bytes(b"\x00\xff")
    [case] = read(tmp_path, {"input": value, "output": 1})
    assert case.inputs == ({"input": sent},)
    assert (case.name, case.success) == ("seven", (True,))


@pytest.mark.parametrize(
    ("document", "outputs", "success"),
    [
        ({"input": "", "output": "text"}, {"results.json": Expectation(EQUAL_BYTES, b"text")}, True),
        ({"input": "", "output": {"json": "text"}}, {"results.json": Expectation(EQUAL_JSON, "text")}, True),
        ({"input": "", "output": [1]}, {"results.json": Expectation(EQUAL_JSON, [1])}, True),
        ({"input": "", "output": {"partial": {"a": 1}}}, {"results.json": Expectation(PARTIAL_JSON, {"a": 1})}, True),
        ({"input": "", "error": "too big"}, {"error": Expectation(CONTAINS, "too big")}, False),
    ],
)
def test_short_forms(tmp_path: Path, document: dict, outputs: dict, success: bool) -> None:
    [case] = read(tmp_path, document)
    assert case.outputs == (outputs,)
    assert case.success == (success,)


def test_a_case_may_have_no_answer_yet(tmp_path: Path) -> None:
    for document in ({"input": "x"}, {"inputs": [{"input": "x"}], "name": "new"}):
        [case] = read(tmp_path, document)
        assert (case.outputs, case.accuracy, case.success) == ((), None, (True,))


def test_mistakes_are_told_with_the_path_that_people_know(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(CaseFileError, match=r"^model/cases/a\.json: holds no case"):
        read_cases(tmp_path / "a.json", "model/cases/a.json")


def test_full_form_and_lists_of_cases(tmp_path: Path) -> None:
    full = {
        "name": "two",
        "inputs": [{"a": "1", "b": "2"}, {"input": "3"}],
        "outputs": [{"x": 1, "y": {"text": "t"}}, {"error": "bad"}],
    }
    first, second = read(tmp_path, [full, {"input": "", "output": 0}])
    assert first.inputs == ({"a": b"1", "b": b"2"}, {"input": b"3"})
    assert first.success == (True, False)
    assert first.outputs[0]["y"] == Expectation(EQUAL_BYTES, b"t")
    assert second.name == "seven[1]"


def test_accuracy_form(tmp_path: Path) -> None:
    accuracy = {"select": ["*", "class"], "labels": [[1, 2]], "at_least": 0.95}
    [case] = read(tmp_path, {"inputs": [{"input": "x"}], "accuracy": accuracy})
    assert case.accuracy is not None
    assert (case.accuracy.output, case.accuracy.labels) == ("results.json", ((1, 2),))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "holds no case"),
        ("x", "must be an object"),
        ({"input": "", "ouput": 1}, "unknown key 'ouput'"),
        ({"input": "", "success": [True]}, "one of `output` and `error`"),
        ({"input": "", "output": 1, "error": "x"}, "one of `output` and `error`"),
        ({"inputs": [{"input": ""}], "outputs": []}, "1 inputs, 0 outputs"),
        ({"inputs": [{}], "outputs": [{}], "success": ["yes"]}, "only true and false"),
        ({"input": {"file": "missing.png"}, "output": 1}, "'missing.png' cannot be read"),
        ({"input": {"base64": "?"}, "output": 1}, "not base64"),
        ({"input": {"file": 3}, "output": 1}, 'value of "file" must be a string'),
        (
            {"inputs": [{}], "accuracy": {"select": [], "labels": [[1]], "at_least": 95}},
            "fraction from 0 to 1",
        ),
        ({"inputs": [{}], "accuracy": {"select": [], "labels": [], "at_least": 1}}, "a list for each"),
        (
            {"inputs": [{}], "accuracy": {"select": [], "labels": [[1]], "minimum": 1}},
            "unknown key 'minimum'",
        ),
    ],
)
def test_mistakes_name_the_file_and_what_is_wrong(tmp_path: Path, document: object, message: str) -> None:
    with pytest.raises(CaseFileError, match=message) as caught:
        read(tmp_path, document)
    assert "seven.json" in str(caught.value)


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(CaseFileError, match=r"x\.json: is not JSON"):
        read_cases(tmp_path / "x.json")
    with pytest.raises(CaseFileError, match="cannot be read"):
        read_cases(tmp_path / "y.json")

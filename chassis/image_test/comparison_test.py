"""What counts as equal, and how a difference is told."""

from __future__ import annotations

import json
import math
import struct

import pytest

from chassis.declaration.model_io import ModelOutput
from chassis.image_test.case_file import EQUAL_BYTES, EQUAL_JSON, PARTIAL_JSON, Accuracy, Case, Expectation
from chassis.image_test.comparison import UNANSWERED, ItemResult, compare, differences
from chassis.image_test.vectors import summary

TOLERANCE = 1e-6


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (1, 1.0),
        (0.1, 0.1 + 9e-7),
        (1e6, 1e6 + 0.9),
        (float("nan"), float("nan")),
        (float("inf"), float("inf")),
        ({"a": [1, {"b": None}]}, {"a": [1.0000001, {"b": None}]}),
        (True, True),
        ("é", "é"),
    ],
)
def test_equal_within_the_tolerance(expected: object, found: object) -> None:
    assert differences(expected, found, TOLERANCE) == []


@pytest.mark.parametrize(
    ("expected", "found", "line"),
    [
        (1, 1.00001, "$: found 1.00001, expected 1 (tolerance 1e-06)"),
        (1, True, "$: found true, expected 1 (a number)"),
        (0, False, "$: found false, expected 0 (a number)"),
        (1, "1", '$: found "1" (a string), expected 1 (a number)'),
        (1, float("inf"), "$: found inf, expected 1 (tolerance 1e-06)"),
        (1, float("nan"), "$: found nan, expected 1 (tolerance 1e-06)"),
        (None, 0, "$: found 0 (a number), expected null"),
        ([1, 2], [1], "$: 1 elements, expected 2"),
        ({"a": {"b": [0, 1]}}, {"a": {"b": [0, 2]}}, "$.a.b[1]: found 2, expected 1 (tolerance 1e-06)"),
        ({"a": 1}, {}, "$.a: missing, expected 1"),
        ({}, {"a": 1}, "$.a: not expected, found 1"),
        ([], {}, "$: found {} (an object), expected [] (a list)"),
    ],
)
def test_differences_are_told_with_their_path(expected: object, found: object, line: str) -> None:
    assert differences(expected, found, TOLERANCE) == [line]


def test_many_differences_are_counted() -> None:
    lines = differences(list(range(100)), list(range(1, 101)), TOLERANCE)
    assert len(lines) == 21
    assert lines[-1] == "… and 80 more differences"


def case_of(*outputs: dict, success: tuple[bool, ...] | None = None, accuracy: Accuracy | None = None) -> Case:
    count = len(outputs) or len(accuracy.labels if accuracy else ())
    return Case("c", ({},) * count, success or (True,) * count, tuple(outputs), accuracy)


def test_outputs_beyond_those_expected_are_findings() -> None:
    case = case_of({"results.json": Expectation(EQUAL_JSON, 1)})
    verdict = compare(case, [ItemResult(True, {"results.json": b"1", "extra": b"\xff"})], TOLERANCE)
    assert verdict.findings == ("output 'extra' is not expected: 1 bytes, ff",)


def test_a_failed_item_tells_its_error() -> None:
    case = case_of({"results.json": Expectation(EQUAL_JSON, 1)})
    verdict = compare(case, [ItemResult(False, {"error": b"no weights"})], TOLERANCE)
    assert verdict.findings == ("success is false, expected true; error: no weights",)


def test_a_string_is_told_from_the_text_in_it() -> None:
    case = case_of({"results.json": Expectation(EQUAL_BYTES, b"42")})
    [finding] = compare(case, [ItemResult(True, {"results.json": b'"42"'})], TOLERANCE).findings
    assert "is a JSON string, expected a text without quotes" in finding
    assert 'write {"json": "42"}' in finding
    assert compare(case, [ItemResult(True, {"results.json": b"42"})], TOLERANCE).findings == ()


def test_a_part_of_an_object_is_enough_if_the_case_says_so() -> None:
    answer = [ItemResult(True, {"results.json": b'{"a": [{"b": 1, "c": 2}], "d": 3}'})]
    right = case_of({"results.json": Expectation(PARTIAL_JSON, {"a": [{"b": 1}]})})
    assert compare(right, answer, TOLERANCE).findings == ()
    wrong = case_of({"results.json": Expectation(PARTIAL_JSON, {"a": [{"b": 2}], "e": 0})})
    [finding] = compare(wrong, answer, TOLERANCE).findings
    assert "$.a[0].b: found 1, expected 2" in finding
    assert "$.e: missing" in finding
    assert "$.d" not in finding


def test_a_case_without_an_answer_fails() -> None:
    assert compare(Case("c", ({},), (True,), (), None), [ItemResult(True, {})], TOLERANCE).findings == (UNANSWERED,)


def test_a_tensor_is_compared_as_numbers() -> None:
    tensors = {"y": ModelOutput("y", tensor="FP32[-1,2]")}
    content = struct.pack("<4f", 1, 2, 3, 4)
    right = case_of({"y": Expectation(EQUAL_JSON, [[1, 2], [3, 4.0000001]])})
    assert compare(right, [ItemResult(True, {"y": content})], TOLERANCE, tensors).findings == ()
    wrong = case_of({"y": Expectation(EQUAL_JSON, [[1, 2], [3, 5]])})
    [finding] = compare(wrong, [ItemResult(True, {"y": content})], TOLERANCE, tensors).findings
    assert "$[1][1]: found 4.0, expected 5" in finding
    [finding] = compare(right, [ItemResult(True, {"y": content[:5]})], TOLERANCE, tensors).findings
    assert "5 bytes, which are not FP32[-1,2]" in finding


def test_a_long_vector_is_compared_by_norm_and_digest() -> None:
    vector = [math.sin(place) for place in range(768)]
    expected = {"embedding": json.loads(json.dumps(summary(vector)))}
    near = [number + 1e-7 * (-1) ** place for place, number in enumerate(vector)]
    assert differences(expected, {"embedding": near}, TOLERANCE) == []
    for other in ([*vector[1:], vector[0]], [-number for number in vector], [vector[0] + 0.1, *vector[1:]]):
        assert "$.embedding: a vector with" in differences(expected, {"embedding": other}, TOLERANCE)[0]
    assert differences(expected, {"embedding": vector[1:]}, TOLERANCE) == [
        "$.embedding: a vector of shape [767], expected [768]"
    ]
    assert differences(expected, {"embedding": "x"}, TOLERANCE) == [
        "$.embedding: not a vector, expected one of shape [768]"
    ]


def test_a_different_number_of_items_is_a_finding() -> None:
    assert compare(case_of({}, {}), [ItemResult(True, {})], TOLERANCE).findings == ("1 outputs for 2 inputs",)


def test_output_that_is_no_json_is_shown() -> None:
    case = case_of({"results.json": Expectation(EQUAL_JSON, {"a": 1})})
    [finding] = compare(case, [ItemResult(True, {"results.json": b"<html>"})], TOLERANCE).findings
    assert "is not JSON" in finding
    assert "<html>" in finding


@pytest.mark.parametrize(
    ("at_least", "labels", "outputs", "finding", "note"),
    [
        (0.75, ((3, 5), (0, 1)), ([3, 5], [0, 2]), "", "accuracy 0.7500 (3 of 4), at least 0.75 wanted"),
        (0.76, ((3, 5), (0, 1)), ([3, 5], [0, 2]), "accuracy 0.7500 (3 of 4), at least 0.76 wanted", ""),
        (0.0, ((3, 5),), ([3],), "item 0: 1 predictions for 2 labels", ""),
        (0.0, ((3,),), ({"no": "list"},), "item 0: `select` fails", ""),
    ],
)
def test_accuracy(at_least: float, labels: tuple, outputs: tuple, finding: str, note: str) -> None:
    case = case_of(accuracy=Accuracy("results.json", ("*", "class"), labels, at_least))
    answers = [[{"class": one} for one in output] if isinstance(output, list) else output for output in outputs]
    verdict = compare(
        case, [ItemResult(True, {"results.json": json.dumps(one).encode()}) for one in answers], TOLERANCE
    )
    assert "".join(verdict.findings).startswith(finding)
    assert bool(verdict.findings) == bool(finding)
    assert verdict.note == note


def test_accuracy_needs_every_item_to_succeed() -> None:
    case = case_of(accuracy=Accuracy("results.json", (), ((1,),), 0.0))
    assert compare(case, [ItemResult(False, {"error": b"x"})], TOLERANCE).findings == (
        "success is false, expected true; error: x",
    )

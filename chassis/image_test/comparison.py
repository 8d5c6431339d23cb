"""Compares what a model answered with what a case expects; the result is a list of findings, empty when
all is right."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chassis.declaration.model_io import ModelOutput
from chassis.image_test.case_file import CONTAINS, EQUAL_JSON, ERROR_KEY, PARTIAL_JSON, Accuracy, Case, Expectation
from chassis.image_test.tensors import TensorError, numbers
from chassis.image_test.vectors import is_summary, vector_differences

_SHOWN_CHARACTERS = 2000
_SHOWN_DIFFERENCES = 20


@dataclass(frozen=True, slots=True)
class ItemResult:
    """One item of a model's answer."""

    success: bool
    output: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a case ended: `findings` holds what is wrong, `note` what is worth a word even if nothing is."""

    findings: tuple[str, ...]
    note: str = ""


UNANSWERED = "has no answer to compare with"


def compare(
    case: Case, answers: Sequence[ItemResult], tolerance: float, tensors: Mapping[str, ModelOutput] | None = None
) -> Verdict:
    """Judges the answers to one case; numbers may differ by `tolerance * max(1, abs(expected))`.

    `tensors` are the outputs that the model declares to be some: JSON that is expected of one is its numbers.
    """
    if not case.outputs and not case.accuracy:
        return Verdict((UNANSWERED,))
    if len(answers) != len(case.inputs):
        return Verdict((f"{len(answers)} outputs for {len(case.inputs)} inputs",))
    findings: list[str] = []
    for index, (answer, success) in enumerate(zip(answers, case.success, strict=True)):
        where = f"item {index}: " if len(answers) > 1 else ""
        if answer.success != success:
            error = answer.output.get(ERROR_KEY, b"")
            findings.append(
                f"{where}success is {str(answer.success).lower()}, expected {str(success).lower()}"
                + (f"; error: {_shown(error)}" if error else "")
            )
            if error:
                continue  # its outputs are missing, and the error is not expected: that is said
        if case.outputs:
            compared = _compare_outputs(answer.output, case.outputs[index], tolerance, tensors or {})
            findings += [where + finding for finding in compared]
    if case.accuracy and not findings:
        return _accuracy(case.accuracy, answers)
    return Verdict(tuple(findings))


def differences(expected: Any, found: Any, tolerance: float, path: str = "$", partial: bool = False) -> list[str]:
    """Where two JSON values differ, each with its path, at most `_SHOWN_DIFFERENCES` of them and a count
    of the rest. If it is `partial`, objects may have more than is expected."""
    lines: list[str] = []
    _differences(expected, found, tolerance, path, partial, lines)
    if len(lines) > _SHOWN_DIFFERENCES:
        lines[_SHOWN_DIFFERENCES:] = [f"… and {len(lines) - _SHOWN_DIFFERENCES} more differences"]
    return lines


def _differences(expected: Any, found: Any, tolerance: float, path: str, partial: bool, lines: list[str]) -> None:
    if is_summary(expected):
        lines += vector_differences(expected, found, tolerance, path)
    elif isinstance(expected, dict) and isinstance(found, dict):
        for key in expected.keys() - found.keys():
            lines.append(f"{path}.{key}: missing, expected {_json(expected[key])}")
        for key in () if partial else found.keys() - expected.keys():
            lines.append(f"{path}.{key}: not expected, found {_json(found[key])}")
        for key in expected:
            if key in found:
                _differences(expected[key], found[key], tolerance, f"{path}.{key}", partial, lines)
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            lines.append(f"{path}: {len(found)} elements, expected {len(expected)}")
        for index, (one, other) in enumerate(zip(expected, found, strict=False)):
            _differences(one, other, tolerance, f"{path}[{index}]", partial, lines)
    elif _is_number(expected) and _is_number(found):
        if not _close(expected, found, tolerance):
            lines.append(f"{path}: found {found!r}, expected {expected!r} (tolerance {tolerance:g})")
    elif _kind(expected) != _kind(found):
        lines.append(f"{path}: found {_json(found)}{_kind(found)}, expected {_json(expected)}{_kind(expected)}")
    elif expected != found:
        lines.append(f"{path}: found {_json(found)}, expected {_json(expected)}")


def _kind(value: Any) -> str:
    """What JSON calls it, for people; "" if the value itself says it."""
    if value is None or isinstance(value, bool):
        return ""
    return {str: " (a string)", list: " (a list)", dict: " (an object)"}.get(type(value), " (a number)")


def _compare_outputs(
    output: Mapping[str, bytes],
    expected: Mapping[str, Expectation],
    tolerance: float,
    tensors: Mapping[str, ModelOutput],
) -> list[str]:
    findings = [f"output {key!r} is missing" for key in expected if key not in output]
    findings += [f"output {key!r} is not expected: {_shown(output[key])}" for key in output if key not in expected]
    for key, expectation in expected.items():
        if key in output and (finding := _compare_output(output[key], expectation, tolerance, tensors.get(key))):
            findings.append(f"output {key!r} {finding}")
    return findings


def _compare_output(data: bytes, expectation: Expectation, tolerance: float, tensor: ModelOutput | None) -> str:
    if expectation.kind == CONTAINS:
        if expectation.value in data.decode(errors="replace"):
            return ""
        return f"does not contain the text\n  expected  {expectation.value}\n  found     {_shown(data)}"
    if expectation.kind in (EQUAL_JSON, PARTIAL_JSON):
        try:
            found = numbers(data, tensor) if tensor else json.loads(data)
        except (ValueError, RecursionError) as error:
            return f"is not JSON ({error})\n  expected  {_json(expectation.value)}\n  found     {_shown(data)}"
        except TensorError as error:
            return f"has {error}\n  expected  {_json(expectation.value)}"
        lines = differences(expectation.value, found, tolerance, partial=expectation.kind == PARTIAL_JSON)
        if not lines:
            return ""
        both = [f"  expected  {_json(expectation.value)}", f"  found     {_json(found)}"]
        return "\n".join(["differs", *(f"  {line}" for line in lines), *both])
    if data == expectation.value:
        return ""
    if _as_json_string(data) == expectation.value.decode(errors="replace"):
        return (
            f"is a JSON string, expected a text without quotes\n  expected  {_shown(expectation.value)}\n"
            f'  found     {_shown(data)}\n  if that is right, write {{"json": {_shown(data)}}}'
        )
    return f"differs\n  expected  {_shown(expectation.value)}\n  found     {_shown(data)}"


def _accuracy(accuracy: Accuracy, answers: Sequence[ItemResult]) -> Verdict:
    right = total = 0
    for index, (answer, labels) in enumerate(zip(answers, accuracy.labels, strict=True)):
        try:
            predictions = _select(json.loads(answer.output[accuracy.output]), accuracy.select)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            found = _shown(answer.output.get(accuracy.output, b""))
            return Verdict((f"item {index}: `select` fails: {type(error).__name__} {error}\n  found     {found}",))
        if len(predictions) != len(labels):
            return Verdict((f"item {index}: {len(predictions)} predictions for {len(labels)} labels",))
        total += len(labels)
        right += sum(not differences(label, one, 0.0) for label, one in zip(labels, predictions, strict=True))
    note = f"accuracy {right / total:.4f} ({right} of {total}), at least {accuracy.at_least:g} wanted"
    return Verdict((), note) if right / total >= accuracy.at_least else Verdict((note,))


def _select(value: Any, path: Sequence[str | int]) -> list[Any]:
    values = [value]
    for part in path:
        if part == "*":
            values = [element for one in values for element in _elements(one)]
        else:
            values = [one[part] for one in values]
    return values


def _elements(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f'"*" needs a list, found {type(value).__name__}')
    return value


def _as_json_string(data: bytes) -> str | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, str) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _close(expected: float, found: float, tolerance: float) -> bool:
    if expected == found or (math.isnan(expected) and math.isnan(found)):
        return True
    return abs(found - expected) <= tolerance * max(1.0, abs(expected)) and math.isfinite(found)


def _json(value: Any) -> str:
    return _shortened(json.dumps(value, ensure_ascii=False))


def _shown(data: bytes) -> str:
    try:
        return _shortened(data.decode())
    except UnicodeDecodeError:
        return f"{len(data)} bytes, {data[:32].hex(' ')}{' …' if len(data) > 32 else ''}"


def _shortened(text: str) -> str:
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return f"{text[:_SHOWN_CHARACTERS]}… ({len(text)} characters)"

"""The answers of a model, written into the case files that asked it."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from chassis.declaration.model_io import ModelOutput
from chassis.image_test.case_file import ERROR_KEY, OUTPUT_KEY, TAGS, Case
from chassis.image_test.comparison import ItemResult, compare
from chassis.image_test.tensors import TensorError, numbers
from chassis.image_test.vectors import KEY, MIN_SUMMARISED, flat, summary

_WIDTH = 120


def updated(
    document: Any,
    cases: Sequence[Case],
    answers: Sequence[Sequence[ItemResult] | None],
    tolerance: float,
    outputs: Mapping[str, ModelOutput],
) -> Any:
    """The content of a case file with the answers in place of what it expected, if that was something else.

    Args:
      document: what the file has.
      cases: its cases.
      answers: for each of them; None if none came.
      tolerance: what numbers may differ by: they are rounded to that, and stay if they are near enough.
      outputs: those that are tensors.
    """
    alone = not isinstance(document, list)
    found = []
    for fields, case, results in zip([document] if alone else document, cases, answers, strict=True):
        keeps = results is None or case.accuracy or not compare(case, results, tolerance, outputs).findings
        found.append(fields if keeps or results is None else _answered(fields, results, tolerance, outputs))
    return found[0] if alone else found


def _answered(
    fields: Mapping[str, Any], results: Sequence[ItemResult], tolerance: float, outputs: Mapping[str, ModelOutput]
) -> dict[str, Any]:
    rest = {key: value for key, value in fields.items() if key not in ("output", "outputs", "error", "success")}
    written = [
        {key: _written(key, content, tolerance, outputs) for key, content in result.output.items()}
        for result in results
    ]
    if (
        "input" in fields
        and len(results) == 1
        and written[0].keys() <= {OUTPUT_KEY if results[0].success else ERROR_KEY}
    ):
        [(key, value)] = written[0].items() or [(OUTPUT_KEY, "")]
        return {**rest, "output" if key == OUTPUT_KEY else "error": value}
    if "input" in rest:
        rest["inputs"] = [{"input": rest.pop("input")}]
    answered = {**rest, "outputs": written}
    if [result.success for result in results] != [ERROR_KEY not in result.output for result in results]:
        answered["success"] = [result.success for result in results]
    return answered


def _written(key: str, content: bytes, tolerance: float, outputs: Mapping[str, ModelOutput]) -> Any:
    """An EXPECT of case files that stands for `content`."""
    if key in outputs:
        try:
            return _rounded(numbers(content, outputs[key]), tolerance)
        except TensorError:
            return {"base64": base64.b64encode(content).decode()}
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
    if key == ERROR_KEY:
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, str) or (isinstance(value, dict) and len(value) == 1 and next(iter(value)) in TAGS):
        return {"json": value}
    return _rounded(value, tolerance)


def _rounded(value: Any, tolerance: float) -> Any:
    """Numbers to as many places as count; of long vectors their summary."""
    if isinstance(value, dict):
        return {key: _rounded(one, tolerance) for key, one in value.items()}
    if isinstance(value, list):
        if (
            (found := summary(value))
            and len(flat(value)) >= MIN_SUMMARISED
            and any(isinstance(number, float) for number in flat(value))
        ):
            parts = found[KEY]
            digest = [_round(one, tolerance) for one in parts["digest"]]
            return {KEY: {"shape": parts["shape"], "norm": _round(parts["norm"], tolerance), "digest": digest}}
        return [_rounded(one, tolerance) for one in value]
    return _round(value, tolerance) if isinstance(value, float) else value


def _round(number: float, tolerance: float) -> float:
    """To a tenth of the tolerance, which is relative for numbers above 1."""
    if not tolerance or not math.isfinite(number):
        return number
    places = 1 - math.floor(math.log10(tolerance))
    return round(number, places - max(0, math.floor(math.log10(abs(number))))) if number else number


def formatted(value: Any) -> str:
    """JSON with what fits on a line on one."""
    return _lines(value, "", 0) + "\n"


def _lines(value: Any, indent: str, before: int) -> str:
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + before + len(line) < _WIDTH or not isinstance(value, dict | list) or not value:
        return line
    inner = indent + "  "
    if isinstance(value, dict):
        names = {key: json.dumps(key, ensure_ascii=False) + ": " for key in value}
        parts = [names[key] + _lines(one, inner, len(names[key])) for key, one in value.items()]
        opened, closed = "{}"
    else:
        parts = [_lines(one, inner, 0) for one in value]
        opened, closed = "[]"
    return opened + "\n" + ",\n".join(inner + part for part in parts) + "\n" + indent + closed

"""MLflow: a directory that `save_model` wrote, of any flavor that is a function of Python."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# An image reports to nobody. MLflow reads this when it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow.models
import mlflow.pyfunc

_TYPES = {
    "boolean": "BOOL",
    "datetime": "TIMESTAMP",
    "double": "FP64",
    "float": "FP32",
    "integer": "INT32",
    "long": "INT64",
    "string": "TEXT",
}
_NUMBERS = {"bool": "BOOL"} | {
    f"{kind}{bits}": f"{name}{bits}"
    for kind, name, sizes in (
        ("int", "INT", (8, 16, 32, 64)),
        ("uint", "UINT", (8, 16, 32, 64)),
        ("float", "FP", (32, 64)),
    )
    for bits in sizes
}


def load(path: Path, outputs: Sequence[str]) -> Any:
    """The model in the directory `path`, as a function of Python."""
    # In the build it may be behind links, and MLflow takes a link for a way out of the model.
    return mlflow.pyfunc.load_model(str((path / "MLmodel").resolve().parent))


def predict(model: Any, given: Any) -> Any:
    """What the model gives for the rows of a frame, for an array, or for arrays by input."""
    return model.predict(given)


def describe(path: Path, columns: Sequence[str], inputs: Sequence[str], outputs: Sequence[str]) -> Mapping[str, object]:
    """The columns, or the tensors, of its signature."""
    model = load(path, outputs)
    schema = model.metadata.get_input_schema()
    if schema is None:
        if not columns and not inputs:
            raise ValueError(
                "the model has no signature, so it does not say what it takes: save it with one "
                "(`signature=mlflow.models.infer_signature(frame, predictions)`), or declare `columns` or `tensors`"
            )
        return {"signature": "arrays"} if len(inputs) > 1 else {}
    if schema.is_tensor_spec():
        return _tensors(schema.inputs, columns, inputs)
    if inputs:
        raise ValueError("`tensors` has inputs, but the model's signature is of columns: declare `columns`, or nothing")
    lacking = [one.name for one in schema.inputs if one.required and one.name not in columns] if columns else []
    if lacking:
        raise ValueError(f"`columns` lacks {', '.join(lacking)}, which the model's signature requires")
    return {} if columns else {"columns": {str(one.name): _column(one) for one in schema.inputs}}


def _column(one: Any) -> str:
    if one.name is None:
        raise ValueError(
            "the columns of the model's signature have no names: declare `tensors`, or infer it from a frame"
        )
    kind = getattr(one.type, "name", str(one.type))
    if kind not in _TYPES:
        raise ValueError(f"column {one.name!r} is a {kind}, which no column is: write a function that takes it")
    # MLflow takes no missing value as an integer, required or not.
    return _TYPES[kind] + ("" if one.required or kind in ("integer", "long") else "?")


def _tensors(specs: Sequence[Any], columns: Sequence[str], inputs: Sequence[str]) -> Mapping[str, object]:
    named = [one for one in specs if one.name is not None]
    found: dict[str, object] = {"signature": "arrays"} if named and not columns else {}
    if not columns and not inputs:
        found["inputs"] = {one.name or "input": {"tensor": _tensor(one)} for one in specs}
    return found


def _tensor(one: Any) -> str:
    kind, shape = _NUMBERS.get(one.type.name), one.shape
    if kind is None or shape[:1] != (-1,) or shape[1:].count(-1) > 1:
        raise ValueError(
            f"{one.name or 'the input'} is {one.type} {list(shape)}: its first axis has to be -1, which counts items, "
            "at most one more may vary, and its elements are numbers; write a function that takes its arrays"
        )
    return f"{kind}[{','.join(map(str, shape[1:]))}]"

"""A directory of MLflow is a model by itself: its signature says what it takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.models.signature import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from chassis.frameworks import mlflow as adapter
from chassis.packaging.errors import EntryPointError
from chassis.packaging.framework_model import Framework, framework_model
from tests.frameworks.served_file import Serve, inputs, predictions


class _Twice(mlflow.pyfunc.PythonModel):
    def predict(self, context: object, model_input: Any, params: object = None) -> Any:
        if isinstance(model_input, dict):
            return {name: array * 2 for name, array in model_input.items()}
        return model_input * 2


class _Kinds(mlflow.pyfunc.PythonModel):
    def predict(self, context: object, model_input: Any, params: object = None) -> list[list[str]]:
        return [[str(value) for value in row] for row in model_input.itertuples(index=False)]


def save(path: Path, model: object, specs: Sequence[object]) -> None:
    signature = ModelSignature(inputs=Schema(list(specs))) if specs else None
    mlflow.pyfunc.save_model(path, python_model=model, signature=signature, pip_requirements=[])


def test_each_type_of_a_signature_comes_as_mlflow_wants_it_and_may_be_missing_if_it_says_so(
    tmp_path: Path, serve: Serve
) -> None:
    kinds = ["string", "boolean", "datetime", "float", "double"]
    specs = [ColSpec(kind, kind, required=False) for kind in kinds] + [ColSpec("integer", "integer", required=False)]
    save(tmp_path / "m", _Kinds(), specs)
    server = serve("mlflow", "m")
    assert inputs(server)[0] == ("string", "BYTES", [-1])
    whole = {"string": "a", "boolean": True, "datetime": "2024-05-01", "float": 1.5, "double": 2, "integer": 3}
    full, empty = predictions(server, whole, {"integer": 4})
    assert full == ["a", "True", "2024-05-01 00:00:00", "1.5", "2.0", "3"]
    assert empty == ["nan", "nan", "NaT", "nan", "nan", "4"]


@pytest.mark.parametrize(
    ("specs", "declared", "given", "wanted"),
    [
        (
            [ColSpec("double", "a"), ColSpec("long", "n")],
            {"columns": {"a": "FP64", "n": "INT64"}},
            pd.DataFrame({"a": [1.5], "n": [2]}),
            {"a": [3.0], "n": [4]},
        ),
        (
            [TensorSpec(np.dtype("float32"), (-1, 2))],
            {"inputs": {"input": {"tensor": "FP32[2]"}}},
            np.ones((3, 2), np.float32),
            np.full((3, 2), 2.0),
        ),
        (
            [TensorSpec(np.dtype("float32"), (-1, 2), "x"), TensorSpec(np.dtype("int64"), (-1,), "y")],
            {"inputs": {"x": {"tensor": "FP32[2]"}, "y": {"tensor": "INT64[]"}}, "signature": "arrays"},
            {"x": np.ones((1, 2), np.float32), "y": np.array([3])},
            {"x": np.full((1, 2), 2.0), "y": np.array([6])},
        ),
    ],
    ids=["columns", "tensor", "tensors"],
)
def test_a_signature_says_what_the_model_takes(
    tmp_path: Path, specs: Sequence[object], declared: object, given: Any, wanted: Any
) -> None:
    save(tmp_path / "m", _Twice(), specs)
    assert adapter.describe(tmp_path / "m", (), (), ("results.json",)) == declared
    found = adapter.predict(adapter.load(tmp_path / "m", ()), given)
    np.testing.assert_equal(found.to_dict("list") if isinstance(found, pd.DataFrame) else found, wanted)


def test_a_model_without_a_signature_has_declared_columns_or_tensors(tmp_path: Path) -> None:
    save(tmp_path / "m", _Twice(), [])
    assert adapter.describe(tmp_path / "m", ("a",), (), ()) == {}
    assert adapter.describe(tmp_path / "m", (), ("x",), ()) == {}
    assert adapter.describe(tmp_path / "m", (), ("x", "y"), ()) == {"signature": "arrays"}


def test_a_directory_behind_a_link_is_read(tmp_path: Path) -> None:
    save(tmp_path / "m", _Twice(), [ColSpec("double", "a")])
    (tmp_path / "link").symlink_to(tmp_path / "m")
    assert adapter.describe(tmp_path / "link", (), (), ()) == {"columns": {"a": "FP64"}}


@pytest.mark.parametrize(
    ("specs", "fields", "message"),
    [
        ([], {}, "has no signature.*declare `columns` or `tensors`"),
        ([ColSpec("binary", "b")], {}, "column 'b' is a binary, which no column is"),
        (
            [ColSpec("double", "a"), ColSpec("double", "b")],
            {"columns": ("a",)},
            "`columns` lacks b, which the model's sig",
        ),
        ([ColSpec("double", "a")], {"tensors": ("x",)}, "`tensors` has inputs, but .* is of columns"),
        ([TensorSpec(np.dtype("float32"), (2, 2))], {}, r"the input is float32 \[2, 2\]: its first axis has to be -1"),
        (None, {}, "framework 'mlflow', m: .*MLmodel"),
    ],
)
def test_a_directory_that_is_not_what_is_declared_is_an_error_of_the_build(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    specs: Sequence[object] | None,
    fields: dict[str, tuple[str, ...]],
    message: str,
) -> None:
    if specs is None:
        (tmp_path / "m").mkdir()
    else:
        save(tmp_path / "m", _Twice(), specs)
    monkeypatch.setenv("CHASSIS_DATA", str(tmp_path))
    declared = {"columns": (), "tensors": (), "outputs": ("results.json",), **fields}
    with pytest.raises(EntryPointError, match=f"(?s){message}"):
        framework_model(Framework("mlflow", "m", **declared))

"""What a typed function's annotations say, and what a model has to declare beside them."""

from __future__ import annotations

import dataclasses
import datetime
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from chassis.declaration.model import ModelMetadata
from chassis.packaging.codec_packages import check_packages
from chassis.packaging.completion import complete
from chassis.packaging.errors import EntryPointError, MissingDependencyError
from chassis.packaging.signature import Predictor, as_predictor, declared_by, describe_signature, resolve_signature
from chassis.runtime.core.loader import Loader, Records

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image


class DataFrame:
    """Of another library than pandas."""


@dataclasses.dataclass
class Parcel:
    grams: int
    country: str | None
    at: datetime.datetime
    express: bool = False


@dataclasses.dataclass
class Nested:
    parcel: Parcel


def frame(rows: pd.DataFrame) -> object: ...
def array(rows: np.ndarray) -> object: ...
def typed_array(rows: npt.NDArray[np.float32]) -> object: ...
def arrays(inputs: dict[str, np.ndarray]) -> object: ...
def picture(given: Image.Image) -> object: ...
def text(given: str) -> object: ...
def texts(given: Sequence[str]) -> object: ...
def anything(given: dict[str, Any]) -> object: ...
def plain(given: dict) -> object: ...  # type: ignore[type-arg]
def mapping(given: Mapping[str, bytes]) -> dict[str, bytes]: ...  # type: ignore[empty-body]
def record(given: Parcel) -> object: ...
def records(given: list[Parcel]) -> object: ...
def loaded(model: object, given: Parcel) -> object: ...
def other(rows: DataFrame) -> object: ...
def unknown(rows: pl.DataFrame) -> object: ...  # type: ignore[name-defined]  # noqa: F821
def legacy(given: dict[str, object]) -> dict[str, bytes]: ...  # type: ignore[empty-body]
def nested(given: Nested) -> object: ...
def frames(rows: list[pd.DataFrame]) -> object: ...


class Model:
    def predict(self, rows: pd.DataFrame) -> object: ...


@pytest.mark.parametrize(
    ("function", "batch_size", "signature"),
    [
        (frame, 0, "table"),
        (frame, 4, "table"),
        (Model, 4, "table"),
        (array, 0, "array"),
        (array, 4, "array"),
        (typed_array, 4, "array"),
        (arrays, 4, "arrays"),
        (picture, 0, "image"),
        (text, 0, "text"),
        (texts, 4, "text"),
        (anything, 0, "json"),
        (plain, 0, "mapping"),
        (mapping, 0, "mapping"),
        (record, 0, "rows"),
        (records, 4, "rows"),
        (other, 0, "bytes"),
        (unknown, 0, "bytes"),
        (legacy, 0, "mapping"),
    ],
)
def test_an_annotation_says_what_an_input_is(function: Callable[..., object], batch_size: int, signature: str) -> None:
    assert resolve_signature(as_predictor(function), "f", "auto", batch_size) == signature


def test_a_dict_is_a_row_if_columns_are_declared() -> None:
    assert resolve_signature(plain, "f", "auto", 0, has_columns=True) == "json"


def test_the_fields_of_a_dataclass_are_columns() -> None:
    columns = [["grams", "INT64"], ["country", "TEXT?"], ["at", "TIMESTAMP"], ["express", "BOOL"]]
    predictors: list[Predictor] = [as_predictor(record), as_predictor(records), as_predictor(loaded, lambda: 1)]
    for predictor in predictors:
        assert isinstance(predictor, Records)
        assert declared_by(predictor) == {"columns": columns}
    assert isinstance(predictors[2].predictor, Loader)  # type: ignore[union-attr]
    assert declared_by(as_predictor(frame)) == {}


@pytest.mark.parametrize(
    ("function", "batch_size", "message"),
    [
        (frames, 4, "takes a list (rows: list[pd.DataFrame]), but a batch of these is one of them"),
        (records, 0, "takes a list (given: list[Parcel]), but the model has no batch_size"),
        (record, 4, "takes one input (given: Parcel), but batch_size is 4"),
        (text, 4, "takes one input (given: str), but batch_size is 4"),
    ],
)
def test_an_annotation_that_contradicts_the_batch_size(
    function: Callable[..., object], batch_size: int, message: str
) -> None:
    with pytest.raises(EntryPointError, match=re.escape(message)):
        describe_signature(as_predictor(function), "f", "auto", batch_size)


def test_a_field_that_is_not_a_column() -> None:
    with pytest.raises(
        EntryPointError, match=r"Nested\.parcel is of Parcel, which is not a type of a column: take bool"
    ):
        declared_by(as_predictor(nested))


@pytest.mark.parametrize(
    ("signature", "fields", "declared", "message"),
    [
        ("table", {}, {}, 'declare them: columns = {"amount": "FP64?"'),
        ("array", {}, {}, 'declare it, for one item: tensors = {"input": "FP32[4]"}'),
        ("bytes", {"columns": {"a": "FP64"}}, {}, "columns are declared, but the function takes bytes"),
        ("bytes", {"inputs": {"x": {"tensor": "FP32"}}}, {}, "but the function is one of bytes to JSON"),
        ("text", {"inputs": {"x": {"tensor": "FP32"}}}, {}, "but the function takes text"),
        ("array", {"inputs": {"x": {"tensor": "BF16"}}}, {}, "'x' is declared as BF16, which NumPy lacks"),
        ("text", {"inputs": {"x": "text/plain", "y": "text/plain"}}, {}, "takes one input, the model declares 2: x, y"),
        ("rows", {"columns": {"a": "FP64"}}, {"columns": [["a", "TEXT"]]}, "columns are declared twice"),
        ("rows", {}, {"columns": 1}, "cannot be declared: columns: 1 is of the wrong type"),
        ("rows", {}, {"colums": []}, "cannot be declared: "),
    ],
)
def test_what_a_function_needs_declared(
    signature: str, fields: dict[str, object], declared: dict[str, object], message: str
) -> None:
    with pytest.raises(EntryPointError, match=re.escape(message)):
        complete(ModelMetadata("m", **fields), signature, declared)


@pytest.mark.parametrize(("signature", "module"), [("table", "pandas"), ("array", "numpy"), ("image", "PIL")])
def test_a_package_that_inputs_are_made_with_is_named_by_the_build(
    monkeypatch: pytest.MonkeyPatch, signature: str, module: str
) -> None:
    check_packages("bytes request")
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not list(Path(path).glob(f"{module}/__init__.py"))])
    with pytest.raises(MissingDependencyError, match='add it to `deps` of the chassis_model: "@pypi//'):
        check_packages(f"{signature} request")


def test_what_is_said_of_the_input_is_completed() -> None:
    columns = {"columns": [["a", "FP64"]]}
    assert complete(ModelMetadata("m"), "rows", columns).inputs[0].media_type == "application/json"
    given = ModelMetadata("m", inputs={"x": "text/csv"})
    assert complete(given, "text", {}) == given

"""ChassisModel with a function whose input is typed: tried, packed and saved as an image will have it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import numpy as np
import pytest

from chassis.packaging.errors import EntryPointError
from chassis.packed_model.build_file import build_file
from chassis.sdk.inputs import TestInputError
from chassis.sdk.model import ChassisModel
from chassis.sdk.trial import ModelTestError


@dataclasses.dataclass
class Parcel:
    grams: int
    country: str | None = None


def rate(parcel: Parcel) -> str:
    return f"{parcel.grams} g to {parcel.country}"


def rates(parcels: Sequence[Parcel]) -> list[str]:
    return [rate(parcel) for parcel in parcels]


def total(rows: np.ndarray) -> np.ndarray:
    return rows.sum(axis=1)


def results(outputs: list[dict[str, bytes]]) -> list[object]:
    return [json.loads(output["results.json"]) for output in outputs]


def test_a_row_is_tried_as_it_is() -> None:
    model = ChassisModel(rate, rates, batch_size=2)
    assert results(model.test({"grams": 3})) == ["3 g to None"]
    assert results(model.test([{"grams": 3}, {"grams": 4, "country": "CH"}])) == ["3 g to None", "4 g to CH"]
    assert results(model.test('{"grams": 3}')) == results(model.test({"input": {"grams": 3}})) == ["3 g to None"]
    assert results(model.test_batch([{"grams": 1}, {"grams": 2}, {"grams": 3}])) == [
        f"{n} g to None" for n in (1, 2, 3)
    ]
    with pytest.raises(ModelTestError, match="result 0: column 'grams': 'x' is not an integer"):
        model.test({"grams": "x"})
    with pytest.raises(TestInputError, match="a object is not an input"):
        model.test(object())


def test_a_function_of_arrays_needs_a_tensor() -> None:
    model = ChassisModel(batch_process_fn=total, batch_size=4)
    with pytest.raises(EntryPointError, match="declare it, for one item"):
        model.test([1, 2])
    model.describe(inputs={"x": {"tensor": "FP32[2]"}})
    assert results(model.test(np.array([1, 2]))) == [3.0]
    assert results(model.test_batch([1, 2])) == [3.0] * 4


def test_what_is_saved_says_the_columns() -> None:
    packed = ChassisModel(rate).pack()
    assert packed.signature == "rows"
    text = build_file(packed.metadata, [], [], packed.signature)
    assert 'columns = {\n        "grams": "INT64",\n        "country": "TEXT?",\n    }' in text
    assert 'signature = "rows"' in text

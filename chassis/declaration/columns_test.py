"""Columns as a model declares them."""

from __future__ import annotations

import json

import pytest

from chassis.declaration.columns import COLUMN_TYPES, Column
from chassis.declaration.kinds import MetadataError
from chassis.declaration.model import ModelMetadata
from chassis.declaration.model_json import read_served, write_model_json


def test_columns_keep_their_order_on_every_way() -> None:
    model = ModelMetadata("m", columns={"b": "FP64?", "a": "TEXT"})
    assert model.columns == (Column("b", "FP64?"), Column("a", "TEXT"))
    assert ModelMetadata.parse(json.loads(json.dumps(model.document(), sort_keys=True))) == model
    assert read_served(json.loads(write_model_json(model, "table", "3.11")))["columns"] == model.columns


def test_a_model_without_columns_says_nothing_of_them() -> None:
    document = json.loads(write_model_json(ModelMetadata("m"), "bytes", "3.11"))
    assert "columns" not in document
    assert read_served(document)["columns"] == ()


def test_a_column_tells_its_type() -> None:
    for name in COLUMN_TYPES:
        for optional in (False, True):
            column = Column("c", name + "?" * optional)
            assert (column.datatype, column.optional) == (name, optional)
    assert (Column("c", "TEXT").tensor_type, Column("c", "INT8?").tensor_type) == ("BYTES", "INT8")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": "float64"}, "columns: 'a': 'float64' is not one of BOOL, INT8"),
        ({"a": "FP64??"}, "'FP64??' is not one of"),
        ({"": "FP64"}, "columns: '': name is empty"),
        ({"a": 1}, "columns: 'a': 1 is of the wrong type"),
        ([["a", "FP64"], ["a", "TEXT"]], "columns: 'a' is declared twice"),
        ("a", "columns: 'a' is of the wrong type, expected a mapping"),
        ({"input": "FP64"}, "columns: 'input' is the name of the input too"),
    ],
)
def test_what_is_not_a_column_is_refused(columns: object, message: str) -> None:
    with pytest.raises(MetadataError) as error:
        ModelMetadata("m", columns=columns)
    assert message in str(error.value)

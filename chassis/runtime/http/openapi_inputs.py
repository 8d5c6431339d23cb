"""What a typed model takes, as schemas of OpenAPI with an example for each protocol."""

from __future__ import annotations

from typing import Any

from chassis.declaration.columns import TIMESTAMP, Column
from chassis.declaration.tensor import BYTES, FLOATS, NUMERIC
from chassis.runtime.core.contract import Contract, Part
from chassis.runtime.inference.exchange import inputs_metadata

Document = dict[str, object]

_PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
"""A PNG of one grey pixel."""


def typed_schemas(contract: Contract) -> dict[str, dict[str, Any]]:
    """Keywords that `PredictRequest`, `InferRequest` and `GenerateRequest` have more; none of a model of bytes."""
    if not contract.is_typed:
        return {}
    instance, example = _instance(contract)
    inputs = dict(zip((part.name for part in contract.inputs), _values(contract), strict=True))
    return {
        "GenerateRequest": {
            "properties": {name: schema for name, (schema, _) in inputs.items()},
            "examples": [{name: value for name, (_, value) in inputs.items()}],
        },
        "InferRequest": {"examples": [{"inputs": _tensors(contract)}]},
        "PredictRequest": {
            "properties": {"instances": {"type": "array", "minItems": 1, "items": instance}},
            "examples": [{"instances": [example]}],
        },
    }


def _instance(contract: Contract) -> tuple[Document, object]:
    """The schema of an instance, and one."""
    values = _values(contract)
    if len(values) == 1:
        return values[0]
    names = [part.name for part in contract.inputs]
    properties = {name: schema for name, (schema, _) in zip(names, values, strict=True)}
    example = {name: value for name, (_, value) in zip(names, values, strict=True)}
    return {"type": "object", "required": names, "properties": properties}, example


def _values(contract: Contract) -> list[tuple[Document, object]]:
    """For each input the schema of its value in plain JSON, and one."""
    if contract.columns:
        return [_row(contract)]
    base64: Document = {"type": "object", "required": ["b64"], "properties": {"b64": {"type": "string"}}}
    if contract.signature == "image":
        return [(base64, {"b64": _PICTURE})]
    if contract.signature == "json":
        return [({"type": "object"}, {})]
    return [_array(part) if part.datatype != BYTES else ({"type": "string"}, "text") for part in contract.inputs]


def _row(contract: Contract) -> tuple[Document, object]:
    columns = contract.columns
    row: Document = {
        "type": "object",
        "properties": {column.name: _cell(column) for column in columns},
        "additionalProperties": False,
    }
    if contract.signature != "rows":  # of which fields may have defaults
        row["required"] = [column.name for column in columns if not column.optional]
    values: Document = {"type": "array", "minItems": len(columns), "maxItems": len(columns)}
    return {"anyOf": [row, values]}, {column.name: column.example for column in columns}


def _cell(column: Column) -> Document:
    kind = "string"
    if column.datatype in NUMERIC:
        kind = "boolean" if column.datatype == "BOOL" else "number" if column.datatype in FLOATS else "integer"
    schema: Document = {"type": [kind, "null"] if column.optional else kind}
    return {**schema, "format": "date-time"} if column.datatype == TIMESTAMP else schema


def _array(part: Part) -> tuple[Document, object]:
    number = {"BOOL": "boolean"}.get(part.datatype, "number" if part.datatype in FLOATS else "integer")
    schema: Document = {"type": number}
    value: object = part.datatype == "BOOL" or (1.5 if part.datatype in FLOATS else 1)
    for length in reversed(part.shape):
        schema = {"type": "array", "items": schema}
        if length != -1:
            schema |= {"minItems": length, "maxItems": length}
        value = [value] * (2 if length == -1 else length if length < 20 else 1)
    return schema, value


def _tensors(contract: Contract) -> list[Document]:
    """The inputs of an item of the Open Inference Protocol."""
    if contract.columns:
        return [
            {"name": column.name, "datatype": column.tensor_type, "shape": [1], "data": [column.example]}
            for column in contract.columns
        ]
    found = []
    for (name, datatype, shape), (_, value) in zip(inputs_metadata(contract), _values(contract), strict=True):
        shape = [1, *(2 if length == -1 else length for length in shape[1:])]
        one: Document = {"name": name, "datatype": datatype, "shape": shape, "data": [value]}
        if contract.signature == "image":
            one |= {"parameters": {"content_type": "base64"}, "data": [_PICTURE]}
        elif contract.signature == "json":
            one["data"] = ["{}"]
        found.append(one)
    return found

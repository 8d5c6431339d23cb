"""Commands of curl that ask a model, made from what it declares, for whoever tries it."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence

from chassis.declaration.columns import Column
from chassis.declaration.model_io import ModelInput

_TEXT = ("text/",)
_JSON = ("application/json",)
_VARYING = 2
"""The size of an example where a size varies."""


def curl_lines(
    name: str,
    signature: str,
    inputs: Sequence[ModelInput],
    servers: Sequence[str],
    url: str,
    columns: Sequence[Column] = (),
) -> list[str]:
    """A command for each HTTP protocol of `servers`.

    Args:
      name: the model's, in URLs.
      signature: what an item is for the function (chassis/declaration/model_json.py).
      inputs: what it declares.
      servers: the front ends that run.
      url: such as `http://localhost:8080`.
      columns: of a row, if items are rows.
    """
    lines = []
    if "v1-http" in servers:
        instance = {column.name: column.example for column in columns} or _v1(signature, inputs)
        lines.append(_line(f"{url}/v1/models/{name}:predict", {"instances": [instance]}))
    if "v2-http" in servers:
        tensors = [_column(column) for column in columns] or [_tensor(part) for part in inputs]
        lines.append(_line(f"{url}/v2/models/{name}/infer", {"inputs": tensors}))
    return lines


def _column(column: Column) -> dict[str, object]:
    return {"name": column.name, "datatype": column.tensor_type, "shape": [1], "data": [column.example]}


def _line(url: str, body: Mapping[str, object]) -> str:
    return f"curl -s {url} -d {shlex.quote(json.dumps(body))}"


def _v1(signature: str, inputs: Sequence[ModelInput]) -> object:
    if signature not in ("mapping", "arrays"):
        return instance_example(inputs[0])
    return {part.name: instance_example(part) for part in inputs}


def instance_example(part: ModelInput) -> object:
    """An input as KServe v1 takes it."""
    if part.datatype != "BYTES":
        return _nested(_shape(part))
    if part.media_type.startswith(_TEXT):
        return "text"
    return {} if is_object(part) else {"b64": ""}


def is_object(part: ModelInput) -> bool:
    """Whether an input of bytes is JSON."""
    return part.media_type.startswith(_JSON)


def _tensor(part: ModelInput) -> dict[str, object]:
    """An input of one item as the Open Inference Protocol takes it."""
    if part.datatype == "BYTES":
        example = instance_example(part)
        text = "{}" if example == {} else example if isinstance(example, str) else ""
        return {"name": part.name, "datatype": "BYTES", "shape": [1], "data": [text]}
    shape = _shape(part)
    return {"name": part.name, "datatype": part.datatype, "shape": [1, *shape], "data": [0] * math.prod(shape)}


def _shape(part: ModelInput) -> list[int]:
    return [size if size >= 0 else _VARYING for size in part.shape]


def _nested(shape: Sequence[int]) -> object:
    return [_nested(shape[1:]) for _ in range(shape[0])] if shape else 0

"""Tensors as the Open Inference Protocol has them over HTTP: in JSON, or in binary behind it.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from chassis.runtime.core.contract import Part
from chassis.runtime.core.request_error import RequestError
from chassis.runtime.http.message import Request
from chassis.runtime.inference.exchange import CLASSIFICATION, check_outputs, check_parameters, class_count
from chassis.runtime.inference.tensor import Tensor, check_datatype, check_shape, from_base64, from_raw, from_values

HEADER_LENGTH = "inference-header-content-length"
"""The header that says how long the JSON is, if binary data follows it."""

_OF_THE_PROTOCOL = ("binary_data_output",)
_FINITE = (str, int, bool)
_NONE: Mapping[str, object] = MappingProxyType({})


class AskedOutputs(NamedTuple):
    """The outputs that a request asks for.

    Attributes:
      binary: those that it names, to whether each is to come in binary.
      classes: those, to how many classes are asked for, 0 for the tensor as it is.
      otherwise: whether the others are to come in binary.
    """

    binary: Mapping[str, bool]
    classes: Mapping[str, int]
    otherwise: bool


_ALL = AskedOutputs(MappingProxyType({}), MappingProxyType({}), False)
_ALL_BINARY = AskedOutputs(MappingProxyType({}), MappingProxyType({}), True)
"""What a request asks for that names none, as most do."""


def split(request: Request) -> list[Any]:
    """The JSON and the binary data behind it."""
    body = request.take_body()
    text = request.headers.get(HEADER_LENGTH)
    if text is None:
        return [body, memoryview(b"")]
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= len(body)):
        raise RequestError(400, f"{HEADER_LENGTH}: expected a number up to {len(body)}, the size of the body")
    length = int(text)
    return [body[:length], memoryview(body)[length:]]


def read_inputs(
    document: dict[str, object], binary: memoryview, nullable: frozenset[str] = frozenset()
) -> list[Tensor]:
    """The tensors of a request; of those in `nullable` values may be missing."""
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not all([isinstance(entry, dict) for entry in inputs]):
        raise RequestError(400, "inputs: expected a list of tensors")
    position, tensors = 0, []
    for entry in inputs:
        name = entry.get("name")
        if not isinstance(name, str):
            raise RequestError(400, "inputs: a tensor has a name, a string")
        datatype, shape = check_datatype(name, entry.get("datatype")), check_shape(name, entry.get("shape"))
        parameters = _parameters(entry, "input", name)
        size = parameters.get("binary_data_size")
        is_base64 = parameters.get("content_type") == "base64"
        if size is None:
            data, nulls = entry.pop("data", None), name in nullable
            tensors.append(from_values(name, datatype, shape, data, is_base64=is_base64, nulls=nulls))
            continue
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(binary) - position:
            raise RequestError(
                400,
                f"input {name!r}: binary_data_size {size!r}, {len(binary) - position} bytes are left behind the "
                f"JSON, whose length the header {HEADER_LENGTH} gives",
            )
        raw = from_raw(name, datatype, shape, binary[position : position + size])
        tensors.append(from_base64(raw) if is_base64 else raw)
        position += size
    if position != len(binary):
        raise RequestError(400, f"{len(binary) - position} bytes behind the JSON belong to no input")
    return tensors


def read_outputs(document: dict[str, object], declared: Sequence[Part]) -> AskedOutputs:
    otherwise = optional(_parameters(document, "the request"), "binary_data_output", False)
    outputs = optional(document, "outputs", ())
    if not isinstance(outputs, list | tuple) or not isinstance(otherwise, bool):
        raise RequestError(400, "outputs: expected a list; binary_data_output: true or false")
    if not outputs:
        return _ALL_BINARY if otherwise else _ALL
    binary: dict[str, bool] = {}
    classes: dict[str, int] = {}
    for entry in outputs:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise RequestError(400, "outputs: expected objects with a name, a string")
        parameters = _parameters(entry, "output", entry["name"], (CLASSIFICATION,))
        chosen = optional(parameters, "binary_data", otherwise)
        asked = parameters.get(CLASSIFICATION)
        classes[entry["name"]] = 0 if asked is None else class_count(entry["name"], asked, declared)
        if not isinstance(chosen, bool):
            raise RequestError(400, f"output {entry['name']!r}: binary_data is true or false")
        binary[entry["name"]] = chosen
    check_outputs(entry["name"] for entry in outputs)
    return AskedOutputs(binary, classes, otherwise)


def _parameters(
    entry: dict[str, object], what: str, name: str | None = None, known: tuple[str, ...] = ()
) -> Mapping[str, object]:
    parameters = entry.get("parameters")
    if parameters is None:
        return _NONE
    where = what if name is None else f"{what} {name!r}"
    if not isinstance(parameters, dict):
        raise RequestError(400, f"{where}: parameters is an object")
    check_parameters(where, (name for name, value in parameters.items() if value is not None and name not in known))
    return parameters


def optional(entry: Mapping[str, object], name: str, default: object) -> object:
    """A member that may be left out; many clients write `null` then."""
    value = entry.get(name)
    return default if value is None else value


def asked_parameters(document: Mapping[str, object]) -> Mapping[str, object]:
    """The parameters of a request that are for the model: those of the protocol itself are left out, and `null`."""
    found = document.get("parameters")
    if found is None:
        return _NONE
    if not isinstance(found, dict):
        raise RequestError(400, "parameters: expected an object")
    given = {name: value for name, value in found.items() if name not in _OF_THE_PROTOCOL and value is not None}
    for name, value in given.items():
        if type(value) not in _FINITE and not _is_finite(value):
            raise RequestError(400, f"parameters: {name!r} holds a number that overflows")
    return given


def _is_finite(value: object) -> bool:
    """Whether a JSON value holds no number that is read as an infinity, such as 1e999."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, float) and not math.isfinite(one):
            return False
        left += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return True


def values(tensor: Tensor) -> dict[str, object]:
    """`data` for JSON; BYTES that are not UTF-8 come as base64 and say so, as MLServer's clients read it."""
    try:
        return {"data": tensor.values()}
    except UnicodeDecodeError:
        encoded = [base64.b64encode(element).decode() for element in tensor.elements]
        return {"parameters": {"content_type": "base64"}, "data": encoded}
    except ValueError as error:
        raise RequestError(500, f"output {tensor.name!r}: {error}; ask for binary data") from None

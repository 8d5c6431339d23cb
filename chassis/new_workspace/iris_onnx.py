"""A model of ONNX to start with: a classifier of irises, three operators, written field by field.

A file of ONNX is a protobuf message, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto; the numbers of the fields
are that document's.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from chassis.runtime.varint import to_varint

# A logistic regression of irises: a row for each species, a column for each length.
_WEIGHTS = ((-0.42, 0.97, -2.52, -1.08), (0.53, -0.32, -0.21, -0.94), (-0.11, -0.65, 2.72, 2.03))
_BIASES = (9.86, 2.23, -12.09)
_FLOAT, _INT64 = 1, 7
_INT = 2
_IR_VERSION, _OPERATORS = 8, 13


def iris_onnx() -> bytes:
    """The file: `X`, four lengths of each flower in centimetres, to `label` and `probabilities`."""
    graph = (
        _node("Gemm", ("X", "weights", "biases"), "scores", transB=1)
        + _node("ArgMax", ("scores",), "label", axis=1, keepdims=0)
        + _node("Softmax", ("scores",), "probabilities", axis=1)
        + _text(2, "iris")
        + _message(5, _tensor("weights", (3, 4), [number for row in _WEIGHTS for number in row]))
        + _message(5, _tensor("biases", (3,), _BIASES))
        + _message(11, _value("X", _FLOAT, 4))
        + _message(12, _value("label", _INT64))
        + _message(12, _value("probabilities", _FLOAT, 3))
    )
    return _number(1, _IR_VERSION) + _message(7, graph) + _message(8, _number(2, _OPERATORS))


def _node(operator: str, inputs: Sequence[str], output: str, **attributes: int) -> bytes:
    content = b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, operator)
    for name, value in attributes.items():
        content += _message(5, _text(1, name) + _number(3, value) + _number(20, _INT))
    return _message(1, content)


def _tensor(name: str, shape: Sequence[int], numbers: Sequence[float]) -> bytes:
    content = struct.pack(f"<{len(numbers)}f", *numbers)
    return b"".join(_number(1, size) for size in shape) + _number(2, _FLOAT) + _text(8, name) + _message(9, content)


def _value(name: str, datatype: int, *more: int) -> bytes:
    """An input or output whose first axis counts items."""
    shape = _message(1, _text(2, "items")) + b"".join(_message(1, _number(1, size)) for size in more)
    return _text(1, name) + _message(2, _message(1, _number(1, datatype) + _message(2, shape)))


def _number(field: int, value: int) -> bytes:
    return to_varint(field << 3) + to_varint(value)


def _message(field: int, content: bytes) -> bytes:
    return to_varint(field << 3 | 2) + to_varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())

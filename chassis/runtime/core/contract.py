"""What a model declares to take and to give, and whether an item keeps to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chassis.declaration.columns import Column
from chassis.declaration.model_io import ModelInput, ModelOutput
from chassis.declaration.tensor import BYTES, item_shape, shown
from chassis.runtime.core.answer import Answer, ErrorKind, Item, failed

Part = ModelInput | ModelOutput


class Contract(NamedTuple):
    """The declared inputs and outputs.

    Attributes:
      inputs: at least one; the first is the one of a function that takes bytes.
      outputs: at least one; the first is the one of a function that returns a JSON-able value.
      one_input: whether the function takes the first input alone, so that an item must hold it.
      takes_request: whether it takes the request beside its input.
      request_headers: the headers, in lower case, that it is told of then.
      signature: what an item is for the function (chassis/declaration/model_json.py).
      columns: of a row, if items are rows.
    """

    inputs: tuple[ModelInput, ...] = (ModelInput("input"),)
    outputs: tuple[ModelOutput, ...] = (ModelOutput("results.json", "application/json"),)
    one_input: bool = True
    takes_request: bool = False
    request_headers: tuple[str, ...] = ()
    signature: str = "bytes"
    columns: tuple[Column, ...] = ()

    @property
    def is_typed(self) -> bool:
        """Whether the function takes something else than bytes, which its process makes of them."""
        return self.signature not in ("bytes", "mapping")

    def refusal(self, item: Item) -> Answer | None:
        """The answer to an `item` that the model must not see; None if it may."""
        if self.one_input and self.inputs[0].name not in item:
            given = ", ".join(repr(name) for name in sorted(item)) or "none"
            return failed(f"no input {self.inputs[0].name!r}; given: {given}", ErrorKind.INPUT)
        excess = _too_large("input", self.inputs, item)
        if excess:
            return failed(excess, ErrorKind.TOO_LARGE)
        fault = _malformed("input", self.inputs, item)
        # Of a typed function a tensor may come in other forms, too: its process sees to that.
        return failed(fault, ErrorKind.INPUT) if fault and not self.is_typed else None

    def fault(self, output: Mapping[str, bytes]) -> str | None:
        """Why `output` must not leave; None if it may."""
        return _too_large("output", self.outputs, output) or _malformed("output", self.outputs, output)


def _too_large(kind: str, parts: Sequence[Part], content: Mapping[str, bytes]) -> str | None:
    for part in parts:
        value = content.get(part.name)
        if value is not None and part.max_bytes is not None and len(value) > part.max_bytes:
            limit = f"{part.max_size} ({part.max_bytes} bytes)"
            return f"{kind} {part.name!r} has {len(value)} bytes, more than its max_size {limit}"
    return None


def _malformed(kind: str, parts: Sequence[Part], content: Mapping[str, bytes]) -> str | None:
    for part in parts:
        if part.datatype == BYTES or part.name not in content:
            continue
        size = len(content[part.name])
        if item_shape(part.datatype, part.shape, size) is None:
            return f"{kind} {part.name!r} has {size} bytes, which are not {shown(part.datatype, part.shape)}"
    return None

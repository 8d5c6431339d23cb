"""What a model declares to take and to give, and whether an item keeps to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from chassis.runtime.core.answer import Answer, ErrorKind, Item, failed
from chassis.runtime.core.datatype import BYTES, item_shape, shown


class Part(NamedTuple):
    """A named input or output.

    Attributes:
      name: the key in an item, such as `input` or `results.json`.
      media_type: such as `application/json`.
      max_size: the limit as declared, such as `10M`; empty for none.
      max_bytes: the same in bytes; None for none.
      datatype: of the tensor that stands for it in the Open Inference Protocol; the content is its elements in
        row-major order, little-endian. BYTES is the content as it is.
      shape: of one item's tensor, where the datatype is not BYTES; -1 for a size that varies, at most one.
    """

    name: str
    media_type: str = "application/octet-stream"
    max_size: str = ""
    max_bytes: int | None = None
    datatype: str = "BYTES"
    shape: tuple[int, ...] = ()

    def fault(self, kind: str, content: bytes) -> str | None:
        """Why `content` is no tensor of this `kind`, `input` or `output`; None where it is one."""
        if self.datatype == BYTES or item_shape(self.datatype, self.shape, len(content)) is not None:
            return None
        return f"{kind} {self.name!r} has {len(content)} bytes, which are no {shown(self.datatype, self.shape)}"


class Contract(NamedTuple):
    """The declared inputs and outputs.

    Attributes:
      inputs: at least one; the first is the one of a function that takes bytes.
      outputs: at least one; the first is the one of a function that returns a JSON-able value.
      one_input: whether the function takes the first input alone, so that an item must hold it.
    """

    inputs: tuple[Part, ...] = (Part("input"),)
    outputs: tuple[Part, ...] = (Part("results.json", "application/json"),)
    one_input: bool = True

    def refusal(self, item: Item) -> Answer | None:
        """The answer to an `item` that the model must not see; None where it may."""
        if self.one_input and self.inputs[0].name not in item:
            given = ", ".join(repr(name) for name in sorted(item)) or "none"
            return failed(f"no input {self.inputs[0].name!r}; given: {given}", ErrorKind.INPUT)
        excess = _too_large("input", self.inputs, item)
        if excess:
            return failed(excess, ErrorKind.TOO_LARGE)
        fault = _malformed("input", self.inputs, item)
        return failed(fault, ErrorKind.INPUT) if fault else None

    def fault(self, output: Mapping[str, bytes]) -> str | None:
        """Why `output` must not leave; None where it may."""
        return _too_large("output", self.outputs, output) or _malformed("output", self.outputs, output)


def _too_large(kind: str, parts: tuple[Part, ...], content: Mapping[str, bytes]) -> str | None:
    for part in parts:
        value = content.get(part.name)
        if value is not None and part.max_bytes is not None and len(value) > part.max_bytes:
            limit = f"{part.max_size} ({part.max_bytes} bytes)"
            return f"{kind} {part.name!r} has {len(value)} bytes, more than its max_size {limit}"
    return None


def _malformed(kind: str, parts: tuple[Part, ...], content: Mapping[str, bytes]) -> str | None:
    for part in parts:
        if part.datatype != BYTES and part.name in content:
            fault = part.fault(kind, content[part.name])
            if fault:
                return fault
    return None

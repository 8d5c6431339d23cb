"""From a request's tensors to the model's items, and from its answers to tensors again."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from chassis.declaration.model_io import ModelOutput
from chassis.declaration.tensor import BYTES, FLOATS, item_shape, shown
from chassis.runtime.core.answer import Answer, Item
from chassis.runtime.core.batcher import QueueFullError
from chassis.runtime.core.caller import Caller
from chassis.runtime.core.contract import Contract, Part
from chassis.runtime.core.request_error import BusyError, RequestError, quoted, raise_for_failed
from chassis.runtime.core.service import ModelService, ModelState, StoppingError
from chassis.runtime.inference.tensor import Tensor

EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "statistics")
PLATFORM = "chassis_python"
CLASSIFICATION = "classification"
_UNSUPPORTED = (CLASSIFICATION, "shared_memory_region", "shared_memory_offset", "shared_memory_byte_size")
_FEW = 64
_ITEM_BYTES = 1000
"""What an item takes beside its content: it, its place in the queue and its answer."""


TensorMetadata = tuple[str, str, list[int]]
"""Name, datatype and shape of an input or an output."""


class Identity(NamedTuple):
    """What the protocol calls the model: its name in URLs and its version."""

    name: str
    version: str

    def check(self, name: str, version: str = "") -> None:
        """Raises RequestError if `name`, or `version` if there is one, is another model's."""
        if name != self.name:
            raise RequestError(404, f"there is no model {name!r}, this server has {self.name!r}")
        if version and version != self.version:
            raise RequestError(404, f"model {name!r} has no version {version!r}, it has {self.version!r}")


def check_parameters(where: str, names: Iterable[str]) -> None:
    """Raises RequestError if a parameter asks for something that this server does not do: it would get less."""
    for name in names:
        if name in _UNSUPPORTED:
            raise RequestError(400, f"{where}: this server does not support the parameter {name!r}")


async def answered(model: ModelService, wanted: Sequence[Item], caller: Caller) -> list[Answer]:
    """The model's answers, none of which failed.

    Raises:
      RequestError: the queue is full, the server stops, the model failed to load, or an item failed.
    """
    if model.state is ModelState.FAILED:
        raise RequestError(503, model.reason)
    try:
        answers = await model.answer(wanted, caller)
    except QueueFullError as error:
        raise BusyError(str(error)) from None
    except StoppingError as error:
        raise RequestError(503, str(error)) from None
    raise_for_failed(answers)
    return answers


class Piece(NamedTuple):
    """What a stream gives at a time: its tensors, and the parameters that the function gave beside them."""

    tensors: list[Tensor]
    parameters: Mapping[str, object]


async def streamed(
    model: ModelService, wanted: Sequence[Item], caller: Caller, outputs_wanted: Mapping[str, int]
) -> AsyncGenerator[Piece, None]:
    """The pieces of the one item that is asked.

    Raises:
      RequestError: as `answered`; or the request has several items.
    """
    if len(wanted) != 1:
        raise RequestError(400, f"a stream is of one item, the request has {len(wanted)}")
    if model.state is ModelState.FAILED:
        raise RequestError(503, model.reason)
    try:
        async with contextlib.aclosing(model.stream(wanted[0], caller)) as pieces:
            async for piece in pieces:
                raise_for_failed([piece])
                yield Piece(outputs([piece], model.contract.outputs, outputs_wanted), piece.parameters or {})
    except QueueFullError as error:
        raise BusyError(str(error)) from None
    except StoppingError as error:
        raise RequestError(503, str(error)) from None


def check_room(model: ModelService, count: int) -> None:
    """Raises RequestError if `count` items are more than one request may have, or take more memory than is left."""
    model.check_size(count)
    if count > _FEW:
        model.budget.require(count * _ITEM_BYTES, f"a request of {count} items")


def check_outputs(names: Iterable[str]) -> None:
    """Raises RequestError if a request names an output twice: each time would cost a copy of the answer."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise RequestError(400, f"output {name!r} is asked for twice")
        seen.add(name)


def class_count(name: str, value: object, declared: Sequence[Part]) -> int:
    """The classes that are asked for of output `name`: a positive number.

    Raises:
      RequestError: it is not one, or the output has no numbers to be put into an order.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise RequestError(400, f"output {name!r}: classification is a number of classes, at least 1")
    datatype = next((part.datatype for part in declared if part.name == name), BYTES)
    if datatype in (BYTES, "BOOL"):
        raise RequestError(
            400, f"output {name!r}: classification needs numbers, it is of {datatype} (see `tensors` of chassis_model)"
        )
    return value


def items(model: ModelService, tensors: Sequence[Tensor]) -> list[Item]:
    """One item for each element of the tensors' first dimension.

    Raises:
      RequestError: tensors that are not what the model declares, or that disagree.
    """
    if not tensors:
        raise RequestError(400, "the request has no inputs")
    count = tensors[0].shape[0]
    check_room(model, count)
    if model.contract.is_typed:
        from chassis.runtime.inference.typed_tensors import typed_items  # here, since many models need none

        _check_agree(tensors)
        return typed_items(model.contract, tensors)
    declared = {part.name: part for part in model.contract.inputs}
    contents: dict[str, list[bytes]] = {}
    for tensor in tensors:
        if tensor.name in contents:
            raise RequestError(400, f"input {tensor.name!r} is given twice")
        if tensor.name not in declared:
            raise RequestError(400, f"there is no input {tensor.name!r}, the model has {quoted(declared)}")
        if tensor.shape[0] != count:
            raise RequestError(
                400, f"inputs {tensors[0].name!r} and {tensor.name!r} have {count} and {tensor.shape[0]} items"
            )
        _check_declared(tensor, declared[tensor.name])
        contents[tensor.name] = tensor.items()
    if len(contents) == 1:
        return [{tensors[0].name: content} for content in contents[tensors[0].name]]
    names = list(contents)
    return [dict(zip(names, row, strict=True)) for row in zip(*contents.values(), strict=True)]


def _check_agree(tensors: Sequence[Tensor]) -> None:
    """Raises RequestError if a tensor is given twice, or has another number of items than the first."""
    first, seen = tensors[0], set()
    for tensor in tensors:
        if tensor.name in seen:
            raise RequestError(400, f"input {tensor.name!r} is given twice")
        seen.add(tensor.name)
        if tensor.shape[0] != first.shape[0]:
            raise RequestError(
                400, f"inputs {first.name!r} and {tensor.name!r} have {first.shape[0]} and {tensor.shape[0]} items"
            )


def outputs(answers: Sequence[Answer], declared: Sequence[Part], wanted: Mapping[str, int]) -> list[Tensor]:
    """The tensors of `answers`, none of which failed: those of `wanted`, else all that every item has.

    `wanted` has for each name how many classes are asked for, 0 for the tensor as it is.

    Raises:
      RequestError: the model gave no such output, or not the bytes that its declared datatype and shape need.
    """
    rows: list[Mapping[str, bytes]] = [answer.output or {} for answer in answers]
    parts = {part.name: part for part in declared}
    names = list(wanted)
    if not names:
        names = [name for name in parts if name in rows[0]]
        if len(names) < len(rows[0]):
            names += sorted(rows[0].keys() - parts.keys())
    tensors = []
    for name in names:
        part = parts[name] if name in parts else ModelOutput(name)
        try:
            tensor = output_tensor(part, [row[name] for row in rows])
        except KeyError:
            raise _without(name, rows, parts) from None
        classes = wanted.get(name, 0)
        tensors.append(classified(tensor, classes, getattr(part, "labels", ())) if classes else tensor)
    return tensors


def _without(name: str, rows: Sequence[Mapping[str, bytes]], parts: Mapping[str, Part]) -> RequestError:
    """What is said if not each of `rows` has the output `name`."""
    if name not in parts:
        return RequestError(400, f"there is no output {name!r}, the model has {quoted(parts)}")
    missing = next(index for index, row in enumerate(rows) if name not in row)
    return RequestError(500, f"the model gave no output {name!r} for item {missing}")


def parameters_of(answers: Sequence[Answer]) -> dict[str, object]:
    """What the function gave beside its outputs; of several items, the latest that gives a parameter counts."""
    found: dict[str, object] = {}
    for answer in answers:
        if answer.parameters:
            found |= answer.parameters
    return found


def classified(tensor: Tensor, classes: int, labels: Sequence[str]) -> Tensor:
    """The largest numbers of each item, as texts `value:index` or, with a label, `value:index:label`.

    https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md
    """
    count = tensor.shape[0]
    numbers: Sequence[Any] = tensor.numbers()
    size = len(numbers) // count
    form = "{:.6f}" if tensor.datatype in FLOATS else "{}"
    classes = min(classes, size)
    elements = []
    for start in range(0, count * size, size or 1):
        row = numbers[start : start + size]
        # NaN, which is not equal to itself, comes last.
        order = sorted(range(size), key=[(value != value, -value) for value in row].__getitem__)[:classes]
        for index in order:
            label = f":{labels[index]}" if index < len(labels) else ""
            elements.append(f"{form.format(row[index])}:{index}{label}".encode())
    return Tensor(tensor.name, BYTES, (count, classes), elements)


def inputs_metadata(contract: Contract) -> list[TensorMetadata]:
    """The model's inputs: what it declares, or the columns of its rows; the first size, of the items, is -1."""
    if contract.columns:
        return [(column.name, column.tensor_type, [-1]) for column in contract.columns]
    return [_metadata(part) for part in contract.inputs]


def outputs_metadata(contract: Contract) -> list[TensorMetadata]:
    """The model's outputs."""
    return [_metadata(part) for part in contract.outputs]


def _metadata(part: Part) -> TensorMetadata:
    return part.name, part.datatype, [-1, *part.shape]


def output_tensor(part: Part, contents: list[bytes]) -> Tensor:
    """The tensor of an output, with one of `contents` for each item.

    Raises:
      RequestError: the items differ in size.
    """
    if part.datatype == BYTES:
        return Tensor(part.name, BYTES, (len(contents),), contents)
    size = len(contents[0])
    shape = item_shape(part.datatype, part.shape, size)
    other = next((index for index, content in enumerate(contents) if len(content) != size), None)
    if shape is None or other is not None:
        raise RequestError(
            500,
            f"the model's output {part.name!r} has {size} bytes for item 0 and {len(contents[other or 0])} for item "
            f"{other or 0}, which are not a tensor of {shown(part.datatype, part.shape)}: ask for one item at a time",
        )
    return Tensor(part.name, part.datatype, (len(contents), *shape), [b"".join(contents)])


def _check_declared(tensor: Tensor, part: Part) -> None:
    if tensor.datatype != part.datatype:
        raise RequestError(400, f"input {tensor.name!r} is of {part.datatype}, not {tensor.datatype}")
    if part.datatype == BYTES:
        return
    given = tensor.shape[1:]
    if len(given) != len(part.shape) or any(
        size not in (-1, other) for size, other in zip(part.shape, given, strict=True)
    ):
        raise RequestError(
            400, f"input {tensor.name!r} has shape {[-1, *part.shape]} (-1: any size), not {list(tensor.shape)}"
        )

"""What a model takes and gives: its named inputs and outputs."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

from chassis.declaration.declared import Declared, field
from chassis.declaration.kinds import Kind, MediaType, MetadataError, Name, Texts
from chassis.declaration.quantity import Size, parse_size
from chassis.declaration.tensor import Tensor, parse_tensor, shown


class _Part(Declared):
    name: str = field(Name(), doc="the key in an item, such as `input` or `results.json`.")
    media_type: str = field(MediaType(), default="application/octet-stream", doc="such as `application/json`.")
    max_size: str = field(
        Size(),
        default="",
        doc='the most bytes, such as `"10M"`; empty for no limit.',
        attribute="chassis_model.max_sizes",
    )
    tensor: str = field(
        Tensor(),
        default="",
        doc="of a mapping function, what its bytes are in the Open Inference Protocol: datatype and shape of one item, "
        'such as `"FP32[3,-1]"`; empty for bytes as they are.',
        attribute="chassis_model.tensors",
    )
    description: str = field(Kind(), default="", doc="for people.", attribute="chassis_model.descriptions")

    @cached_property
    def max_bytes(self) -> int | None:
        """The limit in bytes; None for none."""
        return parse_size(self.max_size)

    @cached_property
    def datatype(self) -> str:
        """Of the tensor that the content is, row-major and little-endian; BYTES is the content as it is."""
        return parse_tensor(self.tensor)[0] if self.tensor else "BYTES"

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Of one item's tensor; -1 for a size that varies, at most one."""
        return parse_tensor(self.tensor)[1] if self.tensor else ()


class ModelInput(_Part):
    """A declared input. The first is that of a function of bytes."""


class ModelOutput(_Part):
    """A declared output. The first is that of a function that returns a JSON-able value."""

    labels: tuple[str, ...] = field(
        Texts(),
        default=(),
        doc="of an output that is a tensor, what its elements stand for, in their order: callers who ask for classes "
        "(the classification extension of the Open Inference Protocol) get them.",
        attribute="chassis_model.labels",
    )

    def check(self) -> None:
        """Checks labels against the tensor."""
        if self.labels and not self.tensor:
            raise MetadataError(f"{self.name!r} has labels and is not a tensor: declare it, such as FP32[3]")
        size = math.prod(self.shape)
        if self.labels and size >= 0 and size != len(self.labels):
            raise MetadataError(f"{self.name!r} has {len(self.labels)} labels for a tensor of {size} elements")


class Parts(Kind):
    """The inputs or the outputs: at least one, each of its own name. JSON has an object from name to the rest.

    A text stands for a media type.
    """

    def __init__(self, part: type[ModelInput] | type[ModelOutput]) -> None:
        self._part: type[Any] = part
        self.name = f"{part.__name__}s, or a mapping from name to media type"

    def accept(self, place: str, value: object) -> object:
        if isinstance(value, dict):
            value = [self._named(f"{place}, {name!r}", name, described) for name, described in value.items()]
        if not isinstance(value, list | tuple) or not all(isinstance(part, self._part) for part in value):
            raise self.wrong_type(place, value)
        if not value:
            raise MetadataError(f"{place}: a model needs at least one")
        names = [part.name for part in value]
        if len(set(names)) < len(names):
            raise MetadataError(f"{place}: {next(name for name in names if names.count(name) > 1)!r} is declared twice")
        return tuple(value)

    def _named(self, place: str, name: object, described: object) -> object:
        if isinstance(described, self._part):
            described = described.document()
        if isinstance(described, str):
            described = {"media_type": described}
        keys = [one.name for one in self._part.FIELDS]
        if not isinstance(described, dict):
            raise MetadataError(f"{place}: expected an object of {', '.join(keys[1:])}")
        if not name:
            raise MetadataError(f"{place}: the name is empty")
        if described.get("name", name) != name:
            raise MetadataError(f"{place}: is named {described['name']!r} too")
        try:
            return self._part.parse({**described, "name": name})
        except MetadataError as error:
            raise MetadataError(f"{place}: {error}") from None

    def document(self, value: object) -> object:
        assert isinstance(value, tuple)
        return {
            part.name: {
                key: told for key, told in part.document().items() if key != "name" and (told or key != "labels")
            }
            for part in value
        }

    def served(self, value: object) -> object:
        assert isinstance(value, tuple)
        return [_served(part) for part in value]

    def read(self, value: object) -> object:
        if not isinstance(value, list) or not value:
            raise ValueError("inputs and outputs are lists of at least one part")
        return tuple(self._read_part(part) for part in value)

    def _read_part(self, part: dict[str, Any]) -> object:
        tensor = shown(part["datatype"], part.get("shape", ())) if "datatype" in part else ""
        labels = {"labels": part["labels"]} if "labels" in part else {}
        tensor = "" if tensor == "BYTES[]" else tensor
        return self._part(part["name"], part["media_type"], part["max_size"], tensor, **labels)


def _served(part: _Part) -> dict[str, object]:
    described: dict[str, object] = {
        "name": part.name,
        "media_type": part.media_type,
        "max_size": part.max_size,
        "max_bytes": part.max_bytes,
    }
    if part.tensor:
        described["datatype"] = part.datatype
        described["shape"] = list(part.shape)
    if isinstance(part, ModelOutput) and part.labels:
        described["labels"] = list(part.labels)
    return described

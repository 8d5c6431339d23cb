"""What a model says about itself, and the JSON file in which the build hands it to the pickler.

The file, all keys optional but `name`:

    {"name": "digits",                      the target's name: the model's name in URLs
     "model_name": "Digits Classifier",     for people; `name` where it is empty
     "model_version": "0.0.1", "author": "", "source": "", "model_type": "",
     "summary": "", "details": "", "technical": "", "performance": "",
     "batch_size": 16,                      0 for a function of one input
     "inputs": {"input": {"media_type": "application/json", "max_size": "10M", "description": "", "tensor": ""}},
     "outputs": {"scores": {"media_type": "application/octet-stream", "tensor": "FP32[10]"}},
     "required_ram": "512M", "num_cpus": 1, "num_gpus": 0,
     "status_timeout": "60s", "run_timeout": "60s",
     "load_timeout": "300s", "drain_timeout": "10s", "max_wait_ms": 0, "queue_size": 1024,
     "servers": ["omi", "v2-grpc", "v2-http", "v1-http"]}
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chassis.errors import ChassisError
from chassis.runtime.core.datatype import BYTES, NUMERIC

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class MetadataError(ChassisError):
    """Metadata that cannot be understood; the message names the key."""


@dataclass(frozen=True, slots=True)
class Port:
    """A declared input or output.

    Attributes:
      media_type: such as `application/json`.
      max_size: the largest content, such as `10M`; empty for no limit.
      description: for people.
      tensor: of a mapping function, what its bytes are in the Open Inference Protocol: datatype and shape of one item,
        such as `FP32[3,-1]`; empty for bytes as they are.
    """

    media_type: str = "application/octet-stream"
    max_size: str = ""
    description: str = ""
    tensor: str = ""


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a model says about itself. Fields are those of the OMI StatusResponse, and the settings of its server.

    Attributes:
      name: the model's name in URLs.
      batch_size: the most inputs of one call; 0 for a function of one input.
      inputs: input name to what is taken, the first being that of a function of bytes.
      outputs: output name to what is given, the first being that of a function that returns a JSON-able value.
      status_timeout: for callers, such as `60s`.
      run_timeout: the longest call of the function, such as `60s`.
      load_timeout: after which a server whose model is not loaded ends.
      drain_timeout: what a stopping server has for what it accepted.
      max_wait_ms: how long an item may wait for a batch to fill, milliseconds.
      queue_size: items that may wait for the model.
      servers: the front ends to start.
    """

    name: str
    model_name: str = ""
    model_version: str = ""
    author: str = ""
    source: str = ""
    model_type: str = ""
    summary: str = ""
    details: str = ""
    technical: str = ""
    performance: str = ""
    batch_size: int = 0
    inputs: Mapping[str, Port] = dataclasses.field(default_factory=lambda: {"input": Port()})
    outputs: Mapping[str, Port] = dataclasses.field(default_factory=lambda: {"results.json": Port("application/json")})
    required_ram: str = "512M"
    num_cpus: float = 1
    num_gpus: int = 0
    status_timeout: str = "60s"
    run_timeout: str = "60s"
    load_timeout: str = "300s"
    drain_timeout: str = "10s"
    max_wait_ms: float = 0
    queue_size: int = 1024
    servers: tuple[str, ...] = ("omi", "v2-grpc", "v2-http", "v1-http")

    def __post_init__(self) -> None:
        if not self.name:
            raise MetadataError("name: a model needs one")
        if self.batch_size < 0:
            raise MetadataError(f"batch_size is {self.batch_size}, expected 0 or more")
        if self.queue_size < 1:
            raise MetadataError(f"queue_size is {self.queue_size}, expected 1 or more")
        if self.max_wait_ms < 0:
            raise MetadataError(f"max_wait_ms is {self.max_wait_ms}, expected 0 or more")
        for kind, ports in (("inputs", self.inputs), ("outputs", self.outputs)):
            if not ports:
                raise MetadataError(f"{kind}: a model needs at least one")
            for name, port in ports.items():
                if not name:
                    raise MetadataError(f"{kind}: an empty name")
                parse_size(port.max_size, f"{kind}, {name!r}: max_size")
                parse_tensor(port.tensor, f"{kind}, {name!r}: tensor")
        if "error" in self.outputs:
            raise MetadataError('outputs: "error" is the name under which OMI reports a failed item, take another')
        parse_size(self.required_ram, "required_ram")
        for key in ("status_timeout", "run_timeout", "load_timeout", "drain_timeout"):
            parse_duration(getattr(self, key), key)


def read_metadata(path: Path) -> ModelMetadata:
    """Reads a metadata file.

    Raises:
      MetadataError: it is not JSON, has an unknown key, or a value that cannot be understood.
    """
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        raise MetadataError(f"{path}: not JSON: {error}") from None
    try:
        return parse_metadata(document)
    except MetadataError as error:
        raise MetadataError(f"{path}: {error}") from None


def parse_size(text: str, name: str = "size") -> int | None:
    """Returns bytes for `10M`, `1.5G`, `512 KiB` or `100`; None for an empty text. A unit is a power of 1024.

    Raises:
      MetadataError: it is none of these; the message begins with `name`.
    """
    if not text:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise MetadataError(f"{name}: {text!r} is no size, expected such as 10M")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def parse_duration(text: str, name: str = "duration") -> float:
    """Returns seconds for `60s`, `500ms`, `5m`, `1h` or `60`.

    Raises:
      MetadataError: it is none of these; the message begins with `name`.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)", text.strip())
    if not match or not float(match[1]):
        raise MetadataError(f"{name}: {text!r} is no duration, expected such as 60s")
    return float(match[1]) * _SECONDS[match[2]]


def parse_tensor(text: str, name: str = "tensor") -> tuple[str, tuple[int, ...]]:
    """Returns datatype and shape for `FP32[3,-1]`, `INT64[]` or `INT64`; `BYTES` without a shape for an empty text.

    Raises:
      MetadataError: it is none of these; the message begins with `name`.
    """
    match = re.fullmatch(r"([A-Z]+[0-9]*)(?:\[([-0-9, ]*)\])?", text.strip() or BYTES)
    lengths = [part.strip() for part in match[2].split(",")] if match and match[2] else []
    if (
        not match
        or (match[1] not in NUMERIC and text.strip() not in ("", BYTES))
        or not all(re.fullmatch(r"-1|[1-9][0-9]{0,8}", length) for length in lengths)
        or lengths.count("-1") > 1
    ):
        raise MetadataError(
            f"{name}: {text!r} is no tensor, expected a datatype ({', '.join(NUMERIC)}) with the shape of one item, "
            "such as FP32[3,224] or FP32[3,-1], where at most one size varies"
        )
    return match[1], tuple(map(int, lengths))


def parse_metadata(document: object) -> ModelMetadata:
    """Returns the metadata in a JSON document that was read.

    Raises:
      MetadataError: it is no object, has an unknown key, or a value that cannot be understood.
    """
    if not isinstance(document, dict):
        raise MetadataError("expected an object")
    fields = {field.name: field for field in dataclasses.fields(ModelMetadata)}
    values: dict[str, object] = {}
    for key, value in document.items():
        if key not in fields:
            raise MetadataError(f"unknown key {key!r}, expected one of {', '.join(fields)}")
        expected = _EXPECTED[str(fields[key].type)]
        if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
            raise MetadataError(f"{key}: {value!r} is of the wrong type, expected {fields[key].type}")
        if key in ("inputs", "outputs"):
            value = {name: _port(f"{key}, {name!r}", port) for name, port in value.items()}  # type: ignore[union-attr]
        values[key] = tuple(value) if isinstance(value, list) else value
    if "name" not in values:
        raise MetadataError("name: a model needs one")
    return ModelMetadata(**values)  # type: ignore[arg-type]


_EXPECTED: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "Mapping[str, Port]": (dict,),
    "tuple[str, ...]": (list,),
}


def _port(place: str, described: object) -> Port:
    if isinstance(described, str):
        described = {"media_type": described}
    known = {field.name for field in dataclasses.fields(Port)}
    if not isinstance(described, dict) or not all(isinstance(value, str) for value in described.values()):
        raise MetadataError(f"{place}: expected an object of {', '.join(sorted(known))}, all strings")
    unknown = set(described) - known
    if unknown:
        raise MetadataError(f"{place}: unknown key {min(unknown)!r}, expected {', '.join(sorted(known))}")
    return Port(**described)

"""What a layer tool leaves: the blob, its descriptor and its list of files, all three or none."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.oci.descriptor import LayerDescriptor, Origin
from chassis.oci.layer.error import LayerError
from chassis.oci.layer.writer import Compression, LayerWriter
from chassis.whole_file import whole_file


@dataclass(frozen=True, slots=True)
class LayerOutputs:
    """Where the three files go."""

    blob: Path
    descriptor: Path
    files: Path


def write_layer(
    outputs: LayerOutputs,
    fill: Callable[[LayerWriter], Origin],
    compression: Compression = "estargz",
    chunk_size: int = 0,
) -> LayerDescriptor:
    """Writes a layer that `fill` puts entries into; `fill` returns the layer's origin.

    If anything fails, none of the three files is there afterwards, old ones included.
    """
    (layer,) = write_layers([outputs], lambda writers: [fill(writers[0])], compression, chunk_size)
    return layer


def write_layers(
    outputs: Sequence[LayerOutputs],
    fill: Callable[[Sequence[LayerWriter]], Sequence[Origin]],
    compression: Compression = "estargz",
    chunk_size: int = 0,
) -> list[LayerDescriptor]:
    """Writes several layers that `fill` puts entries into, all of them or none; `fill` returns their origins."""
    names = [name for each in outputs for name in (each.blob, each.descriptor, each.files)]
    for name in names:
        name.parent.mkdir(parents=True, exist_ok=True)
    try:
        with ExitStack() as stack:
            writers = [stack.enter_context(LayerWriter(each.blob, compression, chunk_size)) for each in outputs]
            layers = []
            for each, writer, origin in zip(outputs, writers, fill(writers), strict=True):
                finished = writer.finish(origin)
                write_json(each.files, [file.to_json() for file in finished.files])
                write_json(each.descriptor, finished.layer.to_json())
                layers.append(finished.layer)
            for writer in writers:
                writer.commit()
    except BaseException as error:
        for name in names:
            name.unlink(missing_ok=True)
        if isinstance(error, OSError):
            place = f"{error.filename}: " if error.filename else ""
            which = ", ".join(each.blob.name for each in outputs)
            raise LayerError(f"layer {which}: {place}{error.strerror or error}") from None
        raise
    return layers


def write_json(path: Path, document: Any) -> None:
    """Writes a JSON document under its name in one step, mode 0644."""
    data = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    with whole_file(path) as stream:
        stream.write(data)

"""What a layer tool leaves: the blob, its descriptor and its list of files, all three or none."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chassis.oci.descriptor import LayerDescriptor, Origin
from chassis.oci.layer.writer import Compression, LayerError, LayerWriter


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

    Where anything fails, none of the three files is there afterwards, old ones included.
    """
    names = (outputs.blob, outputs.descriptor, outputs.files)
    for name in names:
        name.parent.mkdir(parents=True, exist_ok=True)
    try:
        with LayerWriter(outputs.blob, compression, chunk_size) as writer:
            finished = writer.finish(fill(writer))
            write_json(outputs.files, [file.to_json() for file in finished.files])
            write_json(outputs.descriptor, finished.layer.to_json())
            writer.commit()
    except BaseException as error:
        for name in names:
            name.unlink(missing_ok=True)
        if isinstance(error, OSError):
            place = f"{error.filename}: " if error.filename else ""
            raise LayerError(f"layer {outputs.blob.name}: {place}{error.strerror or error}") from None
        raise
    return finished.layer


def write_json(path: Path, document: Any) -> None:
    """Writes a JSON document under its name in one step, mode 0644."""
    data = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", dir=path.parent, delete=False) as stream:
        temporary = Path(stream.name)
        try:
            stream.write(data)
            stream.flush()
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

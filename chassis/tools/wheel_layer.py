"""Makes an image layer of a wheel, or of several, without recompressing them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.oci.descriptor import Origin
from chassis.oci.layer.merged import add_wheels
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.wheel import add_wheel
from chassis.oci.layer.writer import COMPRESSIONS, LayerWriter
from chassis.tools.run import run_main

_WHEEL = flags.DEFINE_multi_string(
    "wheel", None, "A wheel, under its own file name; several share the layer.", required=True
)
_PYTHON_VERSION = flags.DEFINE_string("python_version", "3.11", "The image's Python, as 3.11.")
_VENV = flags.DEFINE_string("venv", "opt/venv", "The virtual environment's path from the image's root.")
_COMPRESSION = flags.DEFINE_enum("compression", "estargz", COMPRESSIONS, "Form of the blob.")
_CHUNK_SIZE = flags.DEFINE_integer(
    "chunk_size",
    0,
    "Bytes from which on a file is cut into chunks for lazy pulling (recompressed); 0: never.",
)
_BLOB = flags.DEFINE_string("blob", None, "Output: the layer.", required=True)
_DESCRIPTOR = flags.DEFINE_string("descriptor", None, "Output: its descriptor, JSON.", required=True)
_FILES = flags.DEFINE_string("files", None, "Output: the paths that it installs, JSON.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes the blob, its descriptor and its list of files."""
    del argv
    outputs = LayerOutputs(Path(_BLOB.value), Path(_DESCRIPTOR.value), Path(_FILES.value))
    write_layer(outputs, _add, _COMPRESSION.value, _CHUNK_SIZE.value)


def _add(writer: LayerWriter) -> Origin:
    venv, python_version = _VENV.value.strip("/"), _PYTHON_VERSION.value
    wheels = [Path(wheel) for wheel in _WHEEL.value]
    if len(wheels) == 1:
        return add_wheel(writer, wheels[0], venv, python_version)
    return add_wheels(writer, wheels, venv, python_version)


if __name__ == "__main__":
    run_main(main)

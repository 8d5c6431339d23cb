"""Makes an image layer of one wheel, without recompressing it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.wheel import add_wheel
from chassis.oci.layer.writer import COMPRESSIONS
from chassis.tools.run import run_main

_WHEEL = flags.DEFINE_string("wheel", None, "The wheel, under its own file name.", required=True)
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
    venv = _VENV.value.strip("/")
    write_layer(
        outputs,
        lambda writer: add_wheel(writer, Path(_WHEEL.value), venv, _PYTHON_VERSION.value),
        _COMPRESSION.value,
        _CHUNK_SIZE.value,
    )


if __name__ == "__main__":
    run_main(main)

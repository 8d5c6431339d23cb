"""Makes an image layer of a wheel, or of several, without recompressing them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from absl import flags

from chassis.oci.descriptor import Origin
from chassis.oci.layer.bytecode import BytecodeCompiler, running_version
from chassis.oci.layer.merged import add_wheels
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.wheel import add_wheel
from chassis.oci.layer.writer import COMPRESSIONS, LayerWriter
from chassis.tools.run import run_main

_WHEEL = flags.DEFINE_multi_string(
    "wheel", None, "A wheel, under its own file name; several share the layer.", required=True
)
_PYTHON_VERSION = flags.DEFINE_string("python_version", running_version(), "The image's Python, as 3.11; this one's.")
_VENV = flags.DEFINE_string("venv", "opt/venv", "The virtual environment's path from the image's root.")
_COMPRESSION = flags.DEFINE_enum("compression", "estargz", COMPRESSIONS, "Form of the blob.")
_CHUNK_SIZE = flags.DEFINE_integer(
    "chunk_size",
    0,
    "Bytes from which on a file is cut into chunks for lazy pulling (recompressed); 0: never.",
)
_BYTECODE = flags.DEFINE_bool(
    "bytecode", False, "Compile each module for the image's Python, which is then this one's."
)
_BLOB = flags.DEFINE_string("blob", None, "Output: the layer.", required=True)
_DESCRIPTOR = flags.DEFINE_string("descriptor", None, "Output: its descriptor, JSON.", required=True)
_FILES = flags.DEFINE_string("files", None, "Output: the paths that it installs, JSON.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes the blob, its descriptor and its list of files."""
    del argv
    venv, python_version = _VENV.value.strip("/"), _PYTHON_VERSION.value
    wheels = [Path(wheel) for wheel in _WHEEL.value]
    outputs = LayerOutputs(Path(_BLOB.value), Path(_DESCRIPTOR.value), Path(_FILES.value))
    with ExitStack() as stack:
        compiler = stack.enter_context(BytecodeCompiler(python_version)) if _BYTECODE.value else None

        def fill(writer: LayerWriter) -> Origin:
            if len(wheels) == 1:
                return add_wheel(writer, wheels[0], venv, python_version, compiler)
            return add_wheels(writer, wheels, venv, python_version, compiler)

        write_layer(outputs, fill, _COMPRESSION.value, _CHUNK_SIZE.value)


if __name__ == "__main__":
    run_main(main)

"""The flags that the layer tools share, and the layer that they ask for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from absl import flags

from chassis.oci.descriptor import Origin
from chassis.oci.layer.bytecode import BytecodeCompiler, running_version
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.writer import COMPRESSIONS, LayerWriter

PYTHON_VERSION = flags.DEFINE_string("python_version", running_version(), "The image's Python, as 3.11; this one's.")
_COMPRESSION = flags.DEFINE_enum("compression", "estargz", COMPRESSIONS, "Form of the blob.")
_CHUNK_SIZE = flags.DEFINE_integer(
    "chunk_size",
    0,
    "Bytes from which on a file of an eStargz layer is cut into chunks for lazy pulling (recompressed); 0: never.",
)
_BYTECODE = flags.DEFINE_bool(
    "bytecode", False, "Compile each module for the image's Python, which is then this one's."
)
_JOBS = flags.DEFINE_integer("jobs", 0, "Modules to compile at a time; 0: one for each CPU.", lower_bound=0)
_BLOB = flags.DEFINE_string("blob", None, "Output: the layer.", required=True)
_DESCRIPTOR = flags.DEFINE_string("descriptor", None, "Output: its descriptor, JSON.", required=True)
_FILES = flags.DEFINE_string("files", None, "Output: the paths that it installs, JSON.", required=True)


def write(fill: Callable[[LayerWriter, BytecodeCompiler | None], Origin]) -> None:
    """Writes the blob, its descriptor and its list of files as the flags say; `fill` puts the entries in and returns
    the layer's origin.
    """
    outputs = LayerOutputs(Path(_BLOB.value), Path(_DESCRIPTOR.value), Path(_FILES.value))
    with ExitStack() as stack:
        compiler = stack.enter_context(BytecodeCompiler(PYTHON_VERSION.value, _JOBS.value)) if _BYTECODE.value else None
        write_layer(outputs, lambda writer: fill(writer, compiler), _COMPRESSION.value, _CHUNK_SIZE.value)

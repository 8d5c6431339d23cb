"""The flags that the layer tools share, and the layer that they ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from absl import flags

from chassis.errors import ChassisError
from chassis.oci.descriptor import LayerDescriptor, Origin
from chassis.oci.layer.bytecode import BytecodeCompiler, running_version
from chassis.oci.layer.outputs import LayerOutputs, write_layers
from chassis.oci.layer.writer import COMPRESSIONS, LayerWriter

PYTHON_VERSION = flags.DEFINE_string("python_version", running_version(), "The image's Python, as 3.11; this one's.")
_INTERPRETER = flags.DEFINE_string("interpreter", None, "A Python of that version, to compile; by default this one.")
_COMPRESSION = flags.DEFINE_enum("compression", "estargz", COMPRESSIONS, "Form of the blob.")
_CHUNK_SIZE = flags.DEFINE_integer(
    "chunk_size",
    0,
    "Bytes from which on a file of an eStargz layer is cut into chunks for lazy pulling (recompressed); 0: never.",
)
_BYTECODE = flags.DEFINE_bool("bytecode", False, "Compile each module for the image's Python.")
_JOBS = flags.DEFINE_integer("jobs", 0, "Modules to compile at a time; 0: one for each CPU.", lower_bound=0)
_BLOB = flags.DEFINE_multi_string("blob", None, "Output: the layer.", required=True)
_DESCRIPTOR = flags.DEFINE_multi_string("descriptor", None, "Output: its descriptor, JSON.", required=True)
_FILES = flags.DEFINE_multi_string("files", None, "Output: the paths that it installs, JSON.", required=True)


def write(fill: Callable[[LayerWriter, BytecodeCompiler | None], Origin]) -> tuple[Path, LayerDescriptor]:
    """Writes the blob, its descriptor and its list of files as the flags say; `fill` puts the entries in and returns
    the layer's origin.

    Returns:
      The blob's path, and its descriptor.
    """
    (layer,) = write_all(1, lambda writers, compiler: [fill(writers[0], compiler)])
    return Path(_BLOB.value[0]), layer


def write_all(
    count: int, fill: Callable[[Sequence[LayerWriter], BytecodeCompiler | None], Sequence[Origin]]
) -> list[LayerDescriptor]:
    """Writes `count` layers, for each of which there is one of each flag of an output, and returns their descriptors.

    Raises:
      ChassisError: there are more or fewer of those flags.
    """
    for flag in (_BLOB, _DESCRIPTOR, _FILES):
        if len(flag.value) != count:
            raise ChassisError(
                f"--{flag.name} is given {len(flag.value)} times; expected once for each of {count} layers"
            )
    paths = zip(_BLOB.value, _DESCRIPTOR.value, _FILES.value, strict=True)
    outputs = [LayerOutputs(*(Path(path) for path in each)) for each in paths]
    with ExitStack() as stack:
        compiler = stack.enter_context(_compiler()) if _BYTECODE.value else None
        return write_layers(outputs, lambda writers: fill(writers, compiler), _COMPRESSION.value, _CHUNK_SIZE.value)


def _compiler() -> BytecodeCompiler:
    interpreter = Path(_INTERPRETER.value).absolute() if _INTERPRETER.value else None
    return BytecodeCompiler(PYTHON_VERSION.value, _JOBS.value, interpreter)

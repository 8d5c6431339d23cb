"""Makes an image layer of files and directories: first-party code, data, the model, the runtime."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from absl import flags

from chassis.errors import ChassisError
from chassis.oci.descriptor import Origin
from chassis.oci.layer.bytecode import BytecodeCompiler, running_version
from chassis.oci.layer.files import Entry, Link, add_files
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.writer import COMPRESSIONS, LayerWriter
from chassis.tools.run import run_main

_ENTRY = flags.DEFINE_multi_string("entry", [], "DEST=SRC: a file or directory and its path from the image's root.")
_SYMLINK = flags.DEFINE_multi_string("symlink", [], "DEST=TARGET: a symbolic link in the image.")
_KIND = flags.DEFINE_enum("kind", None, ("code", "data", "model", "runtime"), "What the layer holds.", required=True)
_NAME = flags.DEFINE_string("name", None, "What the layer is of: a target's label, a model's name.", required=True)
_VERSION = flags.DEFINE_string("version", "", "Its version, where it has one.")
_PYTHON_VERSION = flags.DEFINE_string("python_version", running_version(), "The image's Python, as 3.11; this one's.")
_COMPRESSION = flags.DEFINE_enum("compression", "estargz", COMPRESSIONS, "Form of the blob.")
_CHUNK_SIZE = flags.DEFINE_integer(
    "chunk_size", 0, "Bytes from which on a file is cut into chunks for lazy pulling; 0: never."
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
    entries = [Entry(destination, Path(source)) for destination, source in _pairs("entry", _ENTRY.value)]
    links = [Link(destination, target) for destination, target in _pairs("symlink", _SYMLINK.value)]

    outputs = LayerOutputs(Path(_BLOB.value), Path(_DESCRIPTOR.value), Path(_FILES.value))
    with ExitStack() as stack:
        compiler = stack.enter_context(BytecodeCompiler(_PYTHON_VERSION.value)) if _BYTECODE.value else None

        def fill(writer: LayerWriter) -> Origin:
            add_files(writer, entries, links, compiler)
            return Origin(_KIND.value, _NAME.value, _VERSION.value)

        write_layer(outputs, fill, _COMPRESSION.value, _CHUNK_SIZE.value)


def _pairs(flag: str, values: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [value.partition("=")[::2] for value in values]
    for (left, right), value in zip(pairs, values, strict=True):
        if not left or not right:
            raise ChassisError(f"--{flag}={value}: two parts with `=` between them are expected")
    return pairs


if __name__ == "__main__":
    run_main(main)

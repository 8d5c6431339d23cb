"""Makes an image's base layer of Debian packages."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from absl import flags

from chassis.oci.layer.base import BaseOptions, add_base
from chassis.oci.layer.bytecode import BytecodeCompiler, running_version
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.writer import COMPRESSIONS
from chassis.tools.run import run_main

_DEB = flags.DEFINE_multi_string("deb", [], "A Debian package; the order does not matter.")
_ARCHITECTURE = flags.DEFINE_string(
    "architecture", None, "Debian's name of the architecture: amd64, arm64.", required=True
)
_NAME = flags.DEFINE_string("name", "debian", "What the base is called in the image's history.")
_KEEP_DOCS = flags.DEFINE_bool("keep_docs", False, "Keep manual pages, documentation and translations.")
_PYTHON_VERSION = flags.DEFINE_string("python_version", running_version(), "The image's Python, as 3.11; this one's.")
_COMPRESSION = flags.DEFINE_enum("compression", "estargz", COMPRESSIONS, "Form of the blob.")
_BYTECODE = flags.DEFINE_bool(
    "bytecode", False, "Compile each module for the image's Python, which is then this one's."
)
_BLOB = flags.DEFINE_string("blob", None, "Output: the layer.", required=True)
_DESCRIPTOR = flags.DEFINE_string("descriptor", None, "Output: its descriptor, JSON.", required=True)
_FILES = flags.DEFINE_string("files", None, "Output: the paths that it installs, JSON.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes the blob, its descriptor and its list of files."""
    del argv
    options = BaseOptions(_ARCHITECTURE.value, _NAME.value, _KEEP_DOCS.value)
    packages = [Path(path) for path in _DEB.value]
    outputs = LayerOutputs(Path(_BLOB.value), Path(_DESCRIPTOR.value), Path(_FILES.value))
    with ExitStack() as stack:
        compiler = stack.enter_context(BytecodeCompiler(_PYTHON_VERSION.value)) if _BYTECODE.value else None
        write_layer(outputs, lambda writer: add_base(writer, packages, options, compiler), _COMPRESSION.value)


if __name__ == "__main__":
    run_main(main)

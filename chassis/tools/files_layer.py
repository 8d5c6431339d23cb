"""Makes an image layer of files and directories: first-party code, data, the model, the runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line import layer_flags
from chassis.command_line.run import run_main
from chassis.doctor.extraction import extract
from chassis.doctor.facts import Facts, encode
from chassis.errors import ChassisError
from chassis.oci.descriptor import Origin
from chassis.oci.layer.bytecode import BytecodeCompiler
from chassis.oci.layer.files import Entry, Link, add_files
from chassis.oci.layer.writer import LayerWriter

_ENTRY = flags.DEFINE_multi_string("entry", [], "DEST=SRC: a file or directory and its path from the image's root.")
_SYMLINK = flags.DEFINE_multi_string("symlink", [], "DEST=TARGET: a symbolic link in the image.")
_KIND = flags.DEFINE_enum("kind", None, ("code", "data", "model", "runtime"), "What the layer holds.", required=True)
_NAME = flags.DEFINE_string("name", None, "What the layer is of: a target's label, a model's name.", required=True)
_VERSION = flags.DEFINE_string("version", "", "Its version if it has one.")
_FACTS = flags.DEFINE_string("facts", None, "Output: what the doctor has to know of the layer, JSON.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes the blob, its descriptor, its list of files and its facts."""
    del argv
    entries = [Entry(destination, Path(source)) for destination, source in _pairs("entry", _ENTRY.value)]
    links = [Link(destination, target) for destination, target in _pairs("symlink", _SYMLINK.value)]

    def fill(writer: LayerWriter, compiler: BytecodeCompiler | None) -> Origin:
        add_files(writer, entries, links, compiler)
        return Origin(_KIND.value, _NAME.value, _VERSION.value)

    blob, layer = layer_flags.write(fill)
    Path(_FACTS.value).write_bytes(encode(Facts((extract(blob, layer.descriptor, layer.origin, trusted=True),))))


def _pairs(flag: str, values: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [value.partition("=")[::2] for value in values]
    for (left, right), value in zip(pairs, values, strict=True):
        if not left or not right:
            raise ChassisError(f"--{flag}={value}: two parts with `=` between them are expected")
    return pairs


if __name__ == "__main__":
    run_main(main)

"""Makes an image layer of a wheel, or of several, without recompressing them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line import layer_flags
from chassis.command_line.run import run_main
from chassis.oci.descriptor import Origin
from chassis.oci.layer.bytecode import BytecodeCompiler
from chassis.oci.layer.merged import add_wheels
from chassis.oci.layer.wheel import add_wheel
from chassis.oci.layer.writer import LayerWriter

_WHEEL = flags.DEFINE_multi_string(
    "wheel", None, "A wheel, under its own file name; several share the layer.", required=True
)
_VENV = flags.DEFINE_string("venv", "opt/venv", "The virtual environment's path from the image's root.")
_EXCLUDE = flags.DEFINE_multi_string(
    "exclude", [], "A pattern of paths in site-packages to leave out, such as */tests/*; repeated."
)


def main(argv: Sequence[str]) -> None:
    """Writes the blob, its descriptor and its list of files."""
    del argv
    venv, python_version = _VENV.value.strip("/"), layer_flags.PYTHON_VERSION.value
    wheels = [Path(wheel) for wheel in _WHEEL.value]

    def fill(writer: LayerWriter, compiler: BytecodeCompiler | None) -> Origin:
        if len(wheels) == 1:
            return add_wheel(writer, wheels[0], venv, python_version, compiler, _EXCLUDE.value)
        return add_wheels(writer, wheels, venv, python_version, compiler, _EXCLUDE.value)

    layer_flags.write(fill)


if __name__ == "__main__":
    run_main(main)

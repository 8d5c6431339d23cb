"""Writes what the doctor has to know of one layer, or of every layer of an OCI layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.doctor.extraction import extract
from chassis.doctor.facts import Facts, encode
from chassis.errors import ChassisError
from chassis.oci.descriptor import LayerDescriptor, read_json
from chassis.tools.run import run_main

_BLOB = flags.DEFINE_string("blob", None, "The layer, as a layer tool of this build made it.")
_DESCRIPTOR = flags.DEFINE_string("descriptor", None, "Its descriptor, JSON.")
_LAYOUT = flags.DEFINE_string("layout", None, "Instead of a layer: an OCI layout directory, such as a base image.")
_ARCHITECTURE = flags.DEFINE_string("architecture", "", "Which image of the layout, where it has several: arm64.")
_OUTPUT = flags.DEFINE_string("output", None, "Output: the facts, JSON.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes the facts; where that fails, nothing is left."""
    del argv
    if _LAYOUT.value:
        from chassis.doctor.examination import facts_of_layout  # Takes half as long to import as all the rest.

        facts = facts_of_layout(Path(_LAYOUT.value), _ARCHITECTURE.value)
    elif _BLOB.value and _DESCRIPTOR.value:
        layer = LayerDescriptor.from_json(read_json(Path(_DESCRIPTOR.value)), _DESCRIPTOR.value)
        facts = Facts((extract(Path(_BLOB.value), layer.descriptor, layer.origin, trusted=True),))
    else:
        raise ChassisError("either --layout, or --blob with --descriptor, says what to look at")
    Path(_OUTPUT.value).write_bytes(encode(facts))


if __name__ == "__main__":
    run_main(main)

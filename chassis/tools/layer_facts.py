"""Writes what the doctor has to know of one layer, or of every layer of an OCI layout.

Every layer of an image has one such action, which is short: so it imports little, and its flags are argparse's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from chassis.command_line import persistent_worker
from chassis.doctor.extraction import extract
from chassis.doctor.facts import Facts, encode
from chassis.errors import ChassisError
from chassis.oci.descriptor import LayerDescriptor, read_json


def main(arguments: Sequence[str]) -> int:
    """Writes the facts, and returns the exit status; if that fails, nothing is left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], fromfile_prefix_chars="@")
    parser.add_argument("--blob", type=Path, help="the layer, as a layer tool of this build made it")
    parser.add_argument("--descriptor", type=Path, help="its descriptor, JSON")
    parser.add_argument("--layout", type=Path, help="instead of a layer: an OCI layout directory, such as a base image")
    parser.add_argument("--architecture", default="", help="which image of the layout if it has several: arm64")
    parser.add_argument("--output", type=Path, required=True, help="output: the facts, JSON")
    flags = parser.parse_args(arguments)
    try:
        flags.output.write_bytes(encode(_facts(flags)))
    except ChassisError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _facts(flags: argparse.Namespace) -> Facts:
    if flags.layout:
        from chassis.doctor.examination import facts_of_layout  # Takes half as long to import as all the rest.

        return facts_of_layout(flags.layout, flags.architecture)
    if not flags.blob or not flags.descriptor:
        raise ChassisError("either --layout, or --blob with --descriptor, says what to look at")
    layer = LayerDescriptor.from_json(read_json(flags.descriptor), str(flags.descriptor))
    return Facts((extract(flags.blob, layer.descriptor, layer.origin, trusted=True),))


if __name__ == "__main__":
    if persistent_worker.FLAG in sys.argv:
        persistent_worker.serve(lambda arguments, digests: main(arguments))
    else:
        sys.exit(main(sys.argv[1:]))

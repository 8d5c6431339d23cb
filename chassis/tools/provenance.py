"""Writes an image's provenance: an in-toto statement with SLSA provenance v1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.oci.workspace_status import read_status
from chassis.trust.image_inventory import read_spec
from chassis.trust.provenance import provenance_statement
from chassis.trust.statement import encode_statement

_SPEC = flags.DEFINE_string(
    "spec", None, "What the image is made of (chassis/trust/image_inventory.py).", required=True
)
_STATUS = flags.DEFINE_multi_string("status_file", [], "File of the workspace's status, with --stamp.")
_OUTPUT = flags.DEFINE_string("output", None, "Output: the statement, JSON.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes the statement."""
    del argv
    status = read_status([Path(file) for file in _STATUS.value])
    statement = provenance_statement(read_spec(Path(_SPEC.value)), status)
    Path(_OUTPUT.value).write_bytes(encode_statement(statement) + b"\n")


if __name__ == "__main__":
    run_main(main)

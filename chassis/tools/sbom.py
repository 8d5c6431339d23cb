"""Writes an image's bills of materials: CycloneDX 1.6 and SPDX 2.3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.trust.cyclonedx_document import cyclonedx_document
from chassis.trust.image_inventory import image_inventory, read_spec
from chassis.trust.spdx_document import spdx_document

_SPEC = flags.DEFINE_string(
    "spec", None, "What the image is made of (chassis/trust/image_inventory.py).", required=True
)
_CYCLONEDX = flags.DEFINE_string("cyclonedx", None, "Output: CycloneDX, JSON.", required=True)
_SPDX = flags.DEFINE_string("spdx", None, "Output: SPDX, JSON.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes both; if that fails, neither is left."""
    del argv
    inventory = image_inventory(read_spec(Path(_SPEC.value)))
    documents = {_CYCLONEDX.value: cyclonedx_document(inventory), _SPDX.value: spdx_document(inventory)}
    for path, document in documents.items():
        Path(path).write_bytes(document)


if __name__ == "__main__":
    run_main(main)

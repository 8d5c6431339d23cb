"""Writes the bills of materials of an image, or of an index: CycloneDX 1.6 and SPDX 2.3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from chassis.trust.component import Inventory
from chassis.trust.cyclonedx_document import cyclonedx_document
from chassis.trust.image_inventory import image_inventory, read_spec
from chassis.trust.index_inventory import index_inventory
from chassis.trust.spdx_document import spdx_document

_SPEC = flags.DEFINE_string("spec", None, "What the image is made of (chassis/trust/image_inventory.py).")
_INDEX = flags.DEFINE_string("index", None, "Layout of an index, without layers, instead.")
_TARGET = flags.DEFINE_string("target", "", "The index's target.")
_MODEL = flags.DEFINE_string("model", "", "The model's name, of an index.")
_VERSION = flags.DEFINE_string("version", "", "The model's version, of an index.")
_CYCLONEDX = flags.DEFINE_string("cyclonedx", None, "Output: CycloneDX, JSON.", required=True)
_SPDX = flags.DEFINE_string("spdx", None, "Output: SPDX, JSON.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes both; if that fails, neither is left."""
    del argv
    inventory = _inventory()
    documents = {_CYCLONEDX.value: cyclonedx_document(inventory), _SPDX.value: spdx_document(inventory)}
    for path, document in documents.items():
        Path(path).write_bytes(document)


def _inventory() -> Inventory:
    if _INDEX.value:
        return index_inventory(Path(_INDEX.value), _TARGET.value, _MODEL.value, _VERSION.value)
    if not _SPEC.value:
        raise ChassisError("nothing to describe: give --spec or --index")
    return image_inventory(read_spec(Path(_SPEC.value)))


if __name__ == "__main__":
    run_main(main)

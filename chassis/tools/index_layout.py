"""Writes an OCI image layout of an index over the images of several platforms, or its documents alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from chassis.oci.index import IndexEntry, write_index

_IMAGE = flags.DEFINE_multi_string("image", [], "ACCELERATOR=LAYOUT: an image's layout directory and `none` or `cuda`.")
_DOCUMENTS_ONLY = flags.DEFINE_bool("documents_only", False, "Leave the layers out: the images may be without them.")
_OUTPUT = flags.DEFINE_string("output", None, "The layout directory to write.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes the layout of the index."""
    del argv
    entries = []
    for image in _IMAGE.value:
        accelerator, equals, layout = image.partition("=")
        if not equals:
            raise ChassisError(f"--image={image}: expected ACCELERATOR=LAYOUT")
        entries.append(IndexEntry(Path(layout), accelerator))
    write_index(Path(_OUTPUT.value), tuple(entries), _DOCUMENTS_ONLY.value)


if __name__ == "__main__":
    run_main(main)

"""Writes an OCI image layout: an image's documents, and links to the layers that other actions made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.oci.layout import complete_layout

_DOCUMENTS = flags.DEFINE_string("documents", None, "What image_documents wrote.", required=True)
_LAYER = flags.DEFINE_multi_string("layer", [], "A layer's blob; the image's own layers, lowest first.")
_BASE_LAYOUT = flags.DEFINE_string("base_layout", None, "The layout with the layers that lie below.")
_OUTPUT = flags.DEFINE_string("output", None, "The layout directory to write.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes the layout."""
    del argv
    complete_layout(
        Path(_OUTPUT.value),
        Path(_DOCUMENTS.value),
        [Path(layer) for layer in _LAYER.value],
        Path(_BASE_LAYOUT.value) if _BASE_LAYOUT.value else None,
    )


if __name__ == "__main__":
    run_main(main)

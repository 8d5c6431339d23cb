"""Writes the OCI image layout of a pulled image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.oci.pull import write_pulled_layout

_MANIFEST = flags.DEFINE_string("manifest", None, "The image's manifest.", required=True)
_CONFIG = flags.DEFINE_string("config", None, "The image's configuration.", required=True)
_LAYER = flags.DEFINE_multi_string("layer", [], "A layer's file, in the manifest's order.")
_OUTPUT = flags.DEFINE_string("output", None, "The layout directory to write.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes the layout."""
    del argv
    layers = [Path(layer) for layer in _LAYER.value]
    write_pulled_layout(Path(_OUTPUT.value), Path(_MANIFEST.value), Path(_CONFIG.value), layers)


if __name__ == "__main__":
    run_main(main)

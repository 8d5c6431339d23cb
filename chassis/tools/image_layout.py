"""Writes an OCI image layout from layers that other actions made, reading their descriptors only."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from absl import flags

from chassis.oci.image_spec import read_spec
from chassis.oci.layout import read_base, write_layout
from chassis.tools.run import run_main

_SPEC = flags.DEFINE_string("spec", None, "JSON: what the image is made of.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The layout directory to write.", required=True)
_PATH_FIRST = flags.DEFINE_string(
    "path_first",
    "/opt/venv/bin",
    "Directory that comes first in the image's PATH, unless the spec sets PATH.",
)


def main(argv: Sequence[str]) -> None:
    """Writes the layout; where that fails, the directory is left empty."""
    del argv
    output = Path(_OUTPUT.value)
    spec = read_spec(Path(_SPEC.value))
    base = read_base(spec.base_layout, spec.platform) if spec.base_layout else None
    fresh = not output.exists() or not any(output.iterdir())
    try:
        settings = replace(spec.settings, path_first=_PATH_FIRST.value)
        write_layout(output, spec.platform, spec.layers, settings, base, spec.ref_name)
    except BaseException:
        if fresh and output.exists():
            for left in output.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        raise


if __name__ == "__main__":
    run_main(main)

"""Writes the documents of an OCI image (index, manifest, configuration) from its layers' descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.oci.image_spec import read_spec
from chassis.oci.layout import read_base, write_documents

_SPEC = flags.DEFINE_string("spec", None, "JSON: what the image is made of.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The directory to write: a layout without layers.", required=True)
_PATH_FIRST = flags.DEFINE_string(
    "path_first",
    "/opt/venv/bin",
    "Directory that comes first in the image's PATH, unless the spec sets PATH.",
)


def main(argv: Sequence[str]) -> None:
    """Writes the documents."""
    del argv
    spec = read_spec(Path(_SPEC.value))
    base = read_base(spec.base_layout, spec.platform, documents_only=True) if spec.base_layout else None
    settings = replace(spec.settings, path_first=_PATH_FIRST.value)
    write_documents(Path(_OUTPUT.value), spec.platform, spec.layers, settings, base, spec.ref_name)


if __name__ == "__main__":
    run_main(main)

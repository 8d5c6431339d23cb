"""Writes the documents of an OCI image (index, manifest, configuration) from its layers' descriptors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from absl import flags

from chassis.command_line.kept_documents import KeptDocuments
from chassis.command_line.persistent_worker import Digests
from chassis.command_line.run import run_main
from chassis.oci.annotations import filled_in
from chassis.oci.descriptor import LayerFile
from chassis.oci.image_spec import read_files, read_spec
from chassis.oci.layout import read_base, write_documents
from chassis.oci.workspace_status import read_status

_SPEC = flags.DEFINE_string("spec", None, "What the image is made of: JSON, or a file of it.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The directory to write: a layout without layers.", required=True)
_PATH_FIRST = flags.DEFINE_string(
    "path_first",
    "/opt/venv/bin",
    "Directory that comes first in the image's PATH, unless the spec sets PATH.",
)


_Files = tuple[LayerFile, ...]


def main(argv: Sequence[str]) -> None:
    """Writes the documents."""
    del argv
    _write(read_files)


def main_in_worker(kept: KeptDocuments[_Files], digests: Digests) -> None:
    """The same, in a worker: images of one build have most layers in common."""
    _write(kept.among(digests))


def _write(read: Callable[[Path], _Files]) -> None:
    spec = read_spec(_SPEC.value, read)
    base = read_base(spec.base_layout, spec.platform, documents_only=True) if spec.base_layout else None
    settings = replace(spec.settings, path_first=_PATH_FIRST.value)
    status = None if spec.status_files is None else read_status(list(spec.status_files))
    annotations = filled_in(spec.annotations, status, base.digest if base else "")
    write_documents(Path(_OUTPUT.value), spec.platform, spec.layers, settings, base, spec.ref_name, annotations)


if __name__ == "__main__":
    run_main(main, in_worker=functools.partial(main_in_worker, KeptDocuments(read_files)))

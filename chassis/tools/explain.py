"""`bazel run //model:image.explain`: what an image is made of, why, and what changed since another.

    bazel run //model:image.explain                            each layer, on the terminal
    bazel run //model:image.explain -- --diff=OTHER            what changed since the image in the OCI layout OTHER, or
                                                               since registry.example/digits:0.0.1
    bazel run //model:image.explain -- --html=image.html       a page with a map of the image
    bazel run //model:image.explain -- --json                  all of it, for programs

Paths are relative to the directory that `bazel run` is called from.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.registry_flags import remedies, transport_of_flags
from chassis.command_line.run import caller_path, run_main
from chassis.errors import ChassisError
from chassis.oci.descriptor import read_json
from chassis.oci.explain.contents import KnownLayer, read_known
from chassis.oci.explain.difference import Difference, compare
from chassis.oci.explain.document import image_document
from chassis.oci.explain.image import ExplainedImage, explain_image
from chassis.oci.explain.page import image_page
from chassis.oci.explain.report import difference_report, image_report
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.pull import parse_platform, pull_layout
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.errors import ImageReferenceError
from chassis.oci.registry.reference import parse_reference
from chassis.whole_file import write_whole

_IMAGE = flags.DEFINE_string("image", None, "OCI image layout directory to explain.", required=True)
_NAME = flags.DEFINE_string("name", "", "What to call the image; its path unless told.")
_LAYERS = flags.DEFINE_string(
    "layers",
    "",
    "JSON list of [descriptor, files]: what the build wrote beside each layer's blob, relative to --layers_root.",
)
_LAYERS_ROOT = flags.DEFINE_string("layers_root", ".", "Directory that the paths in --layers are relative to.")
_ARCHITECTURE = flags.DEFINE_string("architecture", "", "Which image of an index, such as arm64.")
_DIFF = flags.DEFINE_string("diff", "", "Another image, an OCI layout or a registry's: say what changed since it.")
_HTML = flags.DEFINE_string("html", "", "Write a page with a map of the image to this file.")
_JSON = flags.DEFINE_bool("json", False, "Print JSON, every file of every layer included.")
_LARGEST = flags.DEFINE_integer("largest", 5, "How many of the largest files to list.", lower_bound=0)
_FILES = flags.DEFINE_integer("files", 20, "How many changed files to list.", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    """Prints the explanation, or writes the page and says where it is."""
    del argv
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # Names of files may be no text.
    image = explain_image(LayoutReader(Path(_IMAGE.value)), _NAME.value or _IMAGE.value, _known(), _ARCHITECTURE.value)
    difference = _difference(image)
    if _HTML.value:
        page = caller_path(_HTML.value)
        write_whole(page, image_page(image, difference).encode("utf-8", "replace"))
        print(f"{page}: {page.stat().st_size:,} bytes", file=sys.stderr)
    if _JSON.value:
        json.dump(image_document(image, difference), sys.stdout, indent=1)
        sys.stdout.write("\n")
    elif difference:
        sys.stdout.write(difference_report(difference, _FILES.value))
    elif not _HTML.value:
        sys.stdout.write(image_report(image, _LARGEST.value))


def _known() -> dict[str, KnownLayer]:
    if not _LAYERS.value:
        return {}
    root = Path(_LAYERS_ROOT.value)
    known = [read_known(root / descriptor, root / files) for descriptor, files in read_json(Path(_LAYERS.value))]
    return {entry.layer.descriptor.digest: entry for entry in known}


def _difference(image: ExplainedImage) -> Difference | None:
    if not _DIFF.value:
        return None
    if caller_path(_DIFF.value).exists():
        return _since(LayoutReader(caller_path(_DIFF.value)), image)
    with tempfile.TemporaryDirectory(prefix="chassis-explain-") as folder:
        return _since(_pulled(_DIFF.value, image, Path(folder)), image)


def _pulled(name: str, image: ExplainedImage, folder: Path) -> LayoutReader:
    """The image of a registry, with those of its layers that the build does not know."""
    try:
        reference = parse_reference(name)
    except ImageReferenceError as error:
        raise ChassisError(
            f"--diff={name}: {caller_path(name)} does not exist, and it is not an image of a registry: {error}"
        ) from None
    with remedies():
        client = RegistryClient(
            reference.repository,
            transport_of_flags(),
            CredentialStore(os.environ),
            flags.FLAGS.insecure,
            actions="pull",
        )
        digest = reference.digest or client.manifest_digest(reference.tag or "latest")
        if not digest:
            raise ChassisError(f"--diff={name}: the registry has no tag {reference.tag or 'latest'}")
        pull_layout(client, digest, parse_platform(image.platform), folder, without=_known().keys())
    return LayoutReader(folder)


def _since(layout: LayoutReader, image: ExplainedImage) -> Difference:
    images = [manifest for manifest in layout.walk(layout.entry()) if manifest.blobs]
    architecture = image.platform.split("/")[1] if len(images) > 1 else ""
    return compare(explain_image(layout, _DIFF.value, _known(), architecture), image)


if __name__ == "__main__":
    run_main(main)

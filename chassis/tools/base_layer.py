"""Makes an image's base layer of Debian packages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.oci.layer.base import BaseOptions, add_base
from chassis.tools import layer_flags
from chassis.tools.run import run_main

_DEB = flags.DEFINE_multi_string("deb", [], "A Debian package; the order does not matter.")
_ARCHITECTURE = flags.DEFINE_string(
    "architecture", None, "Debian's name of the architecture: amd64, arm64.", required=True
)
_NAME = flags.DEFINE_string("name", "debian", "What the base is called in the image's history.")
_KEEP_DOCS = flags.DEFINE_bool("keep_docs", False, "Keep manual pages, documentation and translations.")


def main(argv: Sequence[str]) -> None:
    """Writes the blob, its descriptor and its list of files."""
    del argv
    options = BaseOptions(_ARCHITECTURE.value, _NAME.value, _KEEP_DOCS.value)
    packages = [Path(path) for path in _DEB.value]
    layer_flags.write(lambda writer, compiler: add_base(writer, packages, options, compiler))


if __name__ == "__main__":
    run_main(main)

"""Makes an image's base of Debian packages: one layer, or several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line import layer_flags
from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from chassis.oci.layer.debian_base import BaseOptions, add_base_layers

_DEB = flags.DEFINE_multi_string("deb", [], "A Debian package; the order does not matter.")
_ARCHITECTURE = flags.DEFINE_string(
    "architecture", None, "Debian's name of the architecture: amd64, arm64.", required=True
)
_NAME = flags.DEFINE_string("name", "debian", "What the base is called in the image's history.")
_LAYER = flags.DEFINE_multi_string(
    "layer",
    [],
    "NAME=PACKAGE,…: packages that get a layer of their own. There are two layers more than of these: below "
    "them the other packages, above them what maintainer scripts would make.",
)
_KEEP_DOCS = flags.DEFINE_bool("keep_docs", False, "Keep manual pages, documentation and translations.")


def main(argv: Sequence[str]) -> None:
    """Writes each layer's blob, its descriptor and its list of files."""
    del argv
    options = BaseOptions(_ARCHITECTURE.value, _NAME.value, _KEEP_DOCS.value)
    packages = [Path(path) for path in _DEB.value]
    groups = {}
    for value in _LAYER.value:
        name, equals, members = value.partition("=")
        if not name or not equals or not members:
            raise ChassisError(f"--layer={value}: expected a name, `=` and packages with commas between them")
        groups[name] = members.split(",")
    count = len(groups) + 2 if groups else 1
    layer_flags.write_all(
        count, lambda writers, compiler: add_base_layers(writers, packages, options, groups, compiler)
    )


if __name__ == "__main__":
    run_main(main)

"""Writes down what is known of packages, for bills of materials: of a wheel, of Debian packages, or of a base's
layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.oci.explain.image import explain_image
from chassis.oci.layout_reader import LayoutReader
from chassis.trust.debian_record import debian_records
from chassis.trust.package_record import PackageRecord, encode_records
from chassis.trust.wheel_record import wheel_record

_WHEEL = flags.DEFINE_multi_string("wheel", [], "A wheel.")
_DEB = flags.DEFINE_multi_string("deb", [], "A Debian package.")
_LAYOUT = flags.DEFINE_string("layout", None, "An OCI layout directory, whose layers are read for packages.")
_LOCK = flags.DEFINE_string("lock", "", "Where they are pinned, for people.")
_OUTPUT = flags.DEFINE_string("output", None, "Output: the records, JSON.", required=True)


def main(argv: Sequence[str]) -> None:
    """Writes the records; if that fails, nothing is left."""
    del argv
    records = [wheel_record(Path(wheel), _LOCK.value) for wheel in _WHEEL.value]
    records += debian_records([Path(deb) for deb in _DEB.value], _LOCK.value)
    if _LAYOUT.value:
        records += _installed(Path(_LAYOUT.value))
    Path(_OUTPUT.value).write_bytes(encode_records(records))


def _installed(layout: Path) -> list[PackageRecord]:
    reader = LayoutReader(layout)
    _, config = reader.image()
    return [
        PackageRecord(
            kind=package.kind,
            name=package.name,
            version=package.version,
            architecture=config.architecture if package.kind == "deb" else "",
        )
        for layer in explain_image(reader, "base").layers
        for package in layer.packages
    ]


if __name__ == "__main__":
    run_main(main)

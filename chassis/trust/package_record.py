"""What is known of one package of an image: name, version, digest of its file, licences, what it needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chassis.oci.descriptor import read_json
from chassis.trust.errors import RecordError

WHEEL, DEB = "wheel", "deb"


@dataclass(frozen=True, slots=True)
class EmbeddedSbom:
    """A bill of materials that a wheel brings (PEP 770): its path in the wheel, and its text."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class PackageRecord:
    """One package.

    `kind` is wheel or deb; `file` the package's file name, `sha256` and `size` that file's, in hexadecimal and bytes,
    empty and 0 if only the installed package is known. `licences` are as the package writes them: SPDX
    expressions, names, or Debian's short names. `requires` are the lines of `Requires-Dist`, or the names that a
    Debian package depends on, with `|` between alternatives. `architecture`, `source` (the source package) and
    `distribution` (such as debian-12) are of Debian packages; `lock` says where it is pinned.
    """

    kind: str
    name: str
    version: str
    file: str = ""
    sha256: str = ""
    size: int = 0
    licences: tuple[str, ...] = ()
    supplier: str = ""
    homepage: str = ""
    summary: str = ""
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    architecture: str = ""
    source: str = ""
    distribution: str = ""
    lock: str = ""
    sboms: tuple[EmbeddedSbom, ...] = ()


def encode_records(records: Sequence[PackageRecord]) -> bytes:
    """Records as JSON, the same bytes for the same records; what is empty is left out."""
    rows = [{key: value for key, value in asdict(record).items() if value} for record in records]
    return json.dumps(rows, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def read_records(path: Path) -> list[PackageRecord]:
    """Reads what `encode_records` gave.

    Raises:
      RecordError: it is something else.
    """
    rows = read_json(path)
    try:
        return [_record(row) for row in rows]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise RecordError(f"{path}: is not a list of package records: {error!r}; build it again") from None


def _record(row: dict[str, Any]) -> PackageRecord:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    fields["sboms"] = tuple(EmbeddedSbom(**sbom) for sbom in row.get("sboms", ()))
    return PackageRecord(**fields)

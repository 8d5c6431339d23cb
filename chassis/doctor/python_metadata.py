"""Reads what installed distributions say of themselves.

Specifications: PyPA, "Core metadata", "Binary distribution format", "Recording the direct URL origin", and PEP 817
(wheel variants).
"""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metadata:
    """The fields of a METADATA file that say what must be there."""

    name: str
    version: str
    requires: tuple[str, ...]
    requires_python: str


def read_metadata(data: bytes) -> Metadata:
    """Reads METADATA or PKG-INFO."""
    fields = _headers(data)
    return Metadata(
        name=fields.get("name", [""])[0],
        version=fields.get("version", [""])[0],
        requires=tuple(fields.get("requires-dist", ())),
        requires_python=fields.get("requires-python", [""])[0],
    )


def read_tags(data: bytes) -> tuple[str, ...]:
    """The tags in a WHEEL file."""
    return tuple(_headers(data).get("tag", ()))


def read_cpu_properties(data: bytes) -> tuple[str, ...]:
    """The CPU properties of a variant.json: `namespace :: feature :: value`, for x86_64 and aarch64."""
    try:
        variants = json.loads(data)["variants"]
        (properties,) = variants.values()
        return tuple(
            f"{namespace} :: {feature} :: {value}"
            for namespace in ("x86_64", "aarch64")
            for feature, values in sorted(properties.get(namespace, {}).items())
            for value in sorted(values)
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()


def read_url(data: bytes) -> str:
    """The URL in a direct_url.json."""
    try:
        url = json.loads(data)["url"]
    except (ValueError, KeyError, TypeError):
        return ""
    return url if isinstance(url, str) else ""


def _headers(data: bytes) -> dict[str, list[str]]:
    """The headers of a message by lower-case name; folded lines are joined."""
    fields: dict[str, list[str]] = {}
    last: list[str] = []
    for line in data.decode("utf-8", "replace").splitlines():
        if not line.strip():
            break
        if line[0] in " \t":
            if last:
                last[-1] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        if colon:
            last = fields.setdefault(name.strip().lower(), [])
            last.append(value.strip())
    return fields


def read_record(data: bytes) -> tuple[tuple[str, str], ...]:
    """The paths of a RECORD file, relative to the directory of its packages, with their digests (`sha256:…`)."""
    rows = csv.reader(io.StringIO(data.decode("utf-8", "replace"), newline=""))
    found = []
    for row in rows:
        if len(row) == 3 and row[1].startswith("sha256="):
            with contextlib.suppress(ValueError):
                digest = base64.urlsafe_b64decode(row[1].removeprefix("sha256=") + "=")
                found.append((row[0], f"sha256:{digest.hex()}"))
    return tuple(found)

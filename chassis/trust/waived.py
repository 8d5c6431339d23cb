"""Waivers of vulnerabilities, each with a reason and the day on which it ends, and the OpenVEX document that says them.

A file of waivers is TOML:

    [[waiver]]
    id = "CVE-2026-1234"
    package = "zlib"            # may be left out
    reason = "the server never inflates input"
    expires = 2027-01-31
"""

from __future__ import annotations

import datetime
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chassis.trust.errors import TrustError
from chassis.trust.vulnerabilities import Vulnerability


class WaiverError(TrustError):
    """A file of waivers cannot be read, or a waiver is not as it should be."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """A vulnerability that is right to ship until a day; `package` is empty for every package that has it."""

    identifier: str
    reason: str
    expires: datetime.date
    package: str = ""

    def covers(self, found: Vulnerability) -> bool:
        """Whether it is about this vulnerability."""
        named = self.package in ("", found.package.name, found.package.source)
        return named and self.identifier in (found.identifier, *found.aliases)


def read_waivers(path: Path) -> list[Waiver]:
    """Reads a file of waivers.

    Raises:
      WaiverError: it is not TOML of that form, or a waiver lacks a reason or its last day.
    """
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("waiver", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WaiverError(f"{path}: cannot be read: {error}") from None
    if not isinstance(rows, list):
        raise WaiverError(f"{path}: [[waiver]] is expected, with two brackets")
    return [_waiver(row, f"{path}: waiver {number}") for number, row in enumerate(rows, 1)]


def _waiver(row: object, where: str) -> Waiver:
    if not isinstance(row, dict) or set(row) - {"id", "package", "reason", "expires"}:
        raise WaiverError(f"{where}: its fields are id, reason, expires, and package if it is about one alone")
    for name in ("id", "reason"):
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise WaiverError(f"{where}: has no {name}")
    expires = row.get("expires")
    if not isinstance(expires, datetime.date) or isinstance(expires, datetime.datetime):
        raise WaiverError(f"{where}: has no day on which it ends: write expires = 2027-01-31")
    return Waiver(row["id"], row["reason"], expires, str(row.get("package", "")))


def waived_by(found: Vulnerability, waivers: Sequence[Waiver], today: datetime.date) -> Waiver | None:
    """The waiver of a vulnerability that holds today; its last day is `expires` itself."""
    return next((one for one in waivers if one.covers(found) and today <= one.expires), None)


def openvex_document(
    found: Sequence[Vulnerability], waivers: Sequence[Waiver], image: str, today: datetime.date
) -> bytes:
    """What is known of an image's vulnerabilities, as OpenVEX 0.2.0 (github.com/openvex/spec); `image` is its purl."""
    statements = []
    for one in found:
        waiver = waived_by(one, waivers, today)
        statement: dict[str, object] = {
            "vulnerability": {"name": one.identifier, "aliases": list(one.aliases)},
            "products": [{"@id": image, "subcomponents": [{"@id": one.package.purl}]}],
        }
        if waiver:
            statement |= {"status": "not_affected", "impact_statement": waiver.reason}
        else:
            action = f"update {one.package.name} to {one.fixed}" if one.fixed else "no fixed version is known"
            statement |= {"status": "affected", "action_statement": action}
        statements.append(statement)
    document = {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": f"https://chassis.dev/vex/{image.rpartition('%3A')[2].partition('?')[0]}",
        "author": "chassis",
        "timestamp": f"{today.isoformat()}T00:00:00Z",
        "version": 1,
        "statements": statements,
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"

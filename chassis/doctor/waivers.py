"""Waivers: findings that a team has looked at and accepts, each with its reason.

A key is a code (`ELF005`) or a code and a pattern of paths (`ELF002:opt/venv/lib/python3.11/site-packages/x/*`), where
`*` matches slashes too. A subject in brackets narrows it to findings about that, such as the missing distribution of
`PY001(nvidia-nccl-cu12)`.
"""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import dataclass

from chassis.doctor.codes import CODES
from chassis.doctor.finding import Finding
from chassis.errors import ChassisError

LABEL = "dev.chassis.doctor.allow"
"""The image's label that records its waivers, a JSON object from key to reason."""

_KEY = re.compile(r"([A-Z]+\d{3})(?:\(([^)]+)\))?(?::(.+))?")


class WaiverError(ChassisError):
    """A waiver names no code, or gives no reason."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """What is accepted, and why."""

    key: str
    code: str
    subject: str
    pattern: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is one of those that are accepted."""
        if finding.code != self.code or self.subject not in ("", finding.subject):
            return False
        return not self.pattern or fnmatch.fnmatchcase(finding.path, self.pattern)


def read_waivers(allowed: dict[str, str]) -> tuple[Waiver, ...]:
    """The waivers of a `doctor_allow`.

    Raises:
      WaiverError: a key's code is unknown, or a reason is empty.
    """
    return tuple(_waiver(key, reason) for key, reason in sorted(allowed.items()))


def _waiver(key: str, reason: str) -> Waiver:
    match = _KEY.fullmatch(key)
    if not match or match[1] not in CODES:
        known = ", ".join(CODES)
        raise WaiverError(
            f"doctor_allow: {key!r} is neither a code nor CODE:path-pattern nor CODE(subject)\n"
            f"  codes are {known} (docs/doctor.md)"
        )
    if not reason.strip():
        raise WaiverError(f"doctor_allow: {key!r} has no reason; say why it is right to ship it")
    return Waiver(key, match[1], match[2] or "", (match[3] or "").lstrip("/"), reason)


def waivers_of_labels(labels: dict[str, str]) -> dict[str, str]:
    """What a built image records of its waivers; none if the label is missing or not an object."""
    try:
        found = json.loads(labels.get(LABEL, "{}"))
    except ValueError:
        return {}
    return {str(key): str(reason) for key, reason in found.items()} if isinstance(found, dict) else {}

"""A finding: what is wrong with an image, where, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect of one file.

    `layer` names the layer (`wheel numpy 2.4.6`), `path` the file without leading slash, empty if the defect is the
    image's own. A note does not fail the build. `subject` is what the finding is about, if a waiver may name it.
    """

    code: str
    layer: str
    path: str
    defect: str
    remedy: str
    severity: Severity = "error"
    subject: str = ""

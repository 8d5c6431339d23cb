"""Names of distributions, as indexes spell them. Here, for what can import no package to do it."""

from __future__ import annotations

import re


def canonical_name(name: str) -> str:
    """Lower case, runs of `-_.` as one `-` (PyPA, "Names and normalization")."""
    return re.sub(r"[-_.]+", "-", name).lower()

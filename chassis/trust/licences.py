"""Licences as packages write them, as SPDX expressions if that is what they say.

Specifications: SPDX 2.3, annex D (license expressions); Debian's copyright format 1.0, "Short license names".
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from license_expression import ExpressionError, Licensing, get_spdx_licensing

# Debian's short names, and what wheels commonly write, if SPDX has another name for the same.
_SPDX = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "expat": "MIT",
    "mit license": "MIT",
    "mpl-2.0": "MPL-2.0",
    "psf": "PSF-2.0",
    "zlib": "Zlib",
}
_GNU = re.compile(r"(A?GPL|LGPL|GFDL)-(\d(?:\.\d)?)(\+?)")


@functools.cache
def _licensing() -> Licensing:
    return get_spdx_licensing()


def spdx_expression(licences: Sequence[str]) -> str:
    """The expression that says what `licences` say, those of several joined with AND; empty if one is unknown to
    SPDX.
    """
    names = [_expression(name) for name in licences]
    if not names or not all(names):
        return ""
    return " AND ".join(f"({name})" if " OR " in name and len(names) > 1 else name for name in dict.fromkeys(names))


def _expression(name: str) -> str:
    known = _SPDX.get(name.lower()) or _gnu(name) or name
    try:
        parsed = _licensing().parse(known, validate=True, strict=True)
    except (ExpressionError, ValueError, AttributeError, TypeError):
        return ""
    return str(parsed.render()) if parsed is not None else ""


def _gnu(name: str) -> str:
    found = _GNU.fullmatch(name)
    if not found:
        return ""
    version = found[2] if "." in found[2] else f"{found[2]}.0"
    return f"{found[1]}-{version}-{'or-later' if found[3] else 'only'}"

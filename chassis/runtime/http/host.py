"""Whom a request asks for: its Host, which a page of another site that was made to point here sends as its own."""

from __future__ import annotations

import re
from collections.abc import Collection

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|([A-Za-z0-9._-]+))(?::[0-9]{0,5})?")
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")


def fault_of(host: str, served: Collection[str]) -> str:
    """Why a request with this Host is refused: it is malformed, or none of those that are `served`, if they are listed.

    Empty if it is not.
    """
    found = _HOST.fullmatch(host)
    if not found:
        return "the request's Host is not a name or an address, with or without a port"
    name = (found[1] or "").lower().removesuffix(".")
    # An address leads nowhere else, and is what probes of a cluster send.
    if served and name and not _ADDRESS.fullmatch(name) and name not in served:
        return "the request's Host is not one of those that CHASSIS_HOSTS lists"
    return ""

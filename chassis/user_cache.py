"""The directory in which Chassis keeps, for a user, what it can make again. `bazelw` finds the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def user_cache(environment: Mapping[str, str]) -> Path | None:
    """`$CHASSIS_CACHE`, else `$XDG_CACHE_HOME/chassis`, else `$HOME/.cache/chassis`; None if none of them is set."""
    if environment.get("CHASSIS_CACHE"):
        return Path(environment["CHASSIS_CACHE"])
    if environment.get("XDG_CACHE_HOME"):
        return Path(environment["XDG_CACHE_HOME"]) / "chassis"
    if environment.get("HOME"):
        return Path(environment["HOME"]) / ".cache" / "chassis"
    return None

"""Why code cannot be confined."""

from __future__ import annotations

from chassis.errors import ChassisError


class ConfinementError(ChassisError):
    """Code cannot be confined, or did not stay so: it does not run, or its result is not taken."""


class NoWallsError(ConfinementError):
    """The kernel does not give what a wall is made of, so what was to be confined does not run."""

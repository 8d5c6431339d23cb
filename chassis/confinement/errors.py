"""Why code cannot be confined."""

from __future__ import annotations

from chassis.errors import ChassisError


class ConfinementError(ChassisError):
    """The kernel does not give what a wall is made of, so what was to be confined does not run."""

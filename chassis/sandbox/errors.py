"""Why a program cannot have a root of its own."""

from __future__ import annotations

from chassis.errors import ChassisError


class SandboxError(ChassisError):
    """The sandbox cannot be made on this machine."""

"""What every module of layers raises where what it was given cannot become one."""

from __future__ import annotations

from chassis.errors import ChassisError


class LayerError(ChassisError):
    """A layer cannot be written as asked."""

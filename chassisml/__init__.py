"""The name under which chassisml's users know ChassisClient and ChassisModel."""

from __future__ import annotations

from chassis.client import ChassisClient
from chassis.model import ChassisModel

__all__ = ["ChassisClient", "ChassisModel"]

"""The name under which chassisml's users know ChassisClient and ChassisModel."""

from __future__ import annotations

from chassis.sdk.client import ChassisClient
from chassis.sdk.model import ChassisModel

__all__ = ["ChassisClient", "ChassisModel"]

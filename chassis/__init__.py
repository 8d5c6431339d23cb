"""Chassis: what a predict function may import, on the build machine and in the image alike."""

from __future__ import annotations

from chassis.accelerator import device
from chassis.data import data_path

__all__ = ["data_path", "device"]

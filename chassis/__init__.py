"""Chassis: what a predict function may import, in the image as on the build machine, and the SDK.

An image has `data_path`, `device`, `Request` and `Result` alone; with `ChassisModel`, `ChassisClient` and
`ModelMetadata` models are made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chassis.errors import ChassisError

if TYPE_CHECKING:
    from chassis.accelerator import device
    from chassis.build_api.webhook_signature import verify_webhook
    from chassis.call import Request, Result
    from chassis.data import data_path
    from chassis.declaration.model import ModelMetadata
    from chassis.sdk.client import ChassisClient
    from chassis.sdk.model import ChassisModel

__all__ = [
    "ChassisClient",
    "ChassisError",
    "ChassisModel",
    "ModelMetadata",
    "Request",
    "Result",
    "data_path",
    "device",
    "verify_webhook",
]

_LATER = {
    "data_path": "chassis.data",
    "device": "chassis.accelerator",
    "ChassisClient": "chassis.sdk.client",
    "ChassisModel": "chassis.sdk.model",
    "ModelMetadata": "chassis.declaration.model",
    "Request": "chassis.call",
    "Result": "chassis.call",
    "verify_webhook": "chassis.build_api.webhook_signature",
}


def __getattr__(name: str) -> object:
    """Imports what is first asked for: an image holds nothing of the SDK, and its server starts with this module."""
    if name not in _LATER:
        raise AttributeError(f"module 'chassis' has no attribute {name!r}")
    import importlib

    try:
        module = importlib.import_module(_LATER[name])
    except ModuleNotFoundError as error:
        if not f"{_LATER[name]}.".startswith(f"{error.name}."):
            raise
        raise AttributeError(f"chassis.{name} is part of the SDK, and an image holds none of it") from None
    return getattr(module, name)


def __dir__() -> list[str]:
    """What people look for: the public names, whether they were asked for yet or not."""
    return sorted({*globals(), *__all__})

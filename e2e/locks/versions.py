"""A model that answers with the versions of distributions, and with null for those that cannot be imported."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import platform


def process(content: bytes) -> dict[str, object]:
    """The version of each distribution of `{"distribution": "module"}`; null if its module cannot be imported."""
    found: dict[str, object] = {}
    for name, module in json.loads(content).items():
        try:
            importlib.import_module(module)
            found[name] = importlib.metadata.version(name)
        except ImportError:
            found[name] = None
    return {"machine": platform.machine(), "versions": found}

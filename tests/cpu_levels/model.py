"""Says what its CPU can do, as NumPy found when it was imported."""

from __future__ import annotations

import importlib
import json


def predict(data: bytes) -> object:
    """Which of the named features (JSON list of NumPy's names) the CPU has."""
    # Named at the top, the dictionary would be pickled as the build machine has it.
    found = importlib.import_module("numpy._core._multiarray_umath").__cpu_features__
    return {name: found[name] for name in json.loads(data)}

"""A model with a wheel of a lock for one Python."""

from __future__ import annotations

import numpy as np


def process(content: bytes) -> dict[str, int]:
    return {"sum": int(np.frombuffer(content, np.uint8).sum())}

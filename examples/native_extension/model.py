"""Tells whether a picture is dark, balanced or bright, from a histogram that a C extension of the team's own counts."""

from __future__ import annotations

import json

import numpy as np
from histogram import histogram


def predict(data: bytes) -> object:
    """The exposure of a grey picture: JSON rows of numbers from 0 to 255, such as `[[0, 12], [255, 3]]`."""
    pixels = np.array(json.loads(data), dtype=np.uint8)
    counts = histogram(pixels, 4)
    shares = counts / counts.sum()
    exposure = "dark" if shares[0] > 0.6 else "bright" if shares[3] > 0.6 else "balanced"
    return {"counts": counts.tolist(), "exposure": exposure}

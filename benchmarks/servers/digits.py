"""The models that every server serves: the digits' weights, and how long a call takes beside.

Imported in each server's own environment: it needs NumPy and nothing else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import numpy as np

BATCH_SIZE = 16
CALL_SECONDS = 0.005


class Digits:
    """Scores a digit by its pixels alone, which costs next to nothing; an instance is a batch function."""

    def __init__(self, weights: np.ndarray, *, sleeps: float = 0.0, holds: float = 0.0, each: float = 0.0) -> None:
        """Takes weights of shape (64, 10), and seconds.

        Args:
          weights: of the pixels' own.
          sleeps: for which a call sleeps.
          holds: for which a call holds the interpreter's lock.
          each: for which it does so with each item.
        """
        self._weights = weights
        self._sleeps = sleeps
        self._holds = holds
        self._each = each

    def __call__(self, inputs: Sequence[bytes]) -> list[dict[str, object]]:
        """Classifies JSON lists of 64 numbers."""
        if self._sleeps:
            time.sleep(self._sleeps)
        holds = self._holds + self._each * len(inputs)
        if holds:
            end = time.thread_time() + holds
            while time.thread_time() < end:
                pass
        scores = np.array([json.loads(content) for content in inputs], np.float64) @ self._weights
        return [{"class": digit} for digit in scores.argmax(axis=1).tolist()]


def load(path: str, kind: str) -> Digits:
    """The model `kind` ("cheap", "slow", "held", "held each"), with the pixels' own weights from weights.npz."""
    with np.load(path) as file:
        weights = np.ascontiguousarray(file["weights"][:64].astype(np.float64))
    if kind == "slow":
        return Digits(weights, sleeps=CALL_SECONDS)
    if kind == "held each":
        return Digits(weights, each=CALL_SECONDS)
    return Digits(weights, holds=CALL_SECONDS if kind == "held" else 0.0)

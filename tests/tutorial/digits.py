"""The model that stands in for the tutorial's ResNet50: handwritten digits by the nearest mean, in NumPy.

It takes a picture of 8 by 8 grey values, 0 to 16, a byte each.
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

_SPREAD = 100.0
_HELD_OUT = 300


class NearestMean:
    """A classifier that knows the mean picture of each class."""

    def __init__(self, pictures: np.ndarray, digits: np.ndarray) -> None:
        self.means = np.stack([pictures[digits == digit].mean(axis=0) for digit in range(10)])

    def to(self, device: str) -> NearestMean:
        """Itself: NumPy has the one device."""
        return self

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Softmax values of shape (pictures, 10) for a batch of shape (pictures, 64)."""
        scores = -((batch[:, None, :] - self.means[None]) ** 2).sum(axis=2) / _SPREAD
        exponents = np.exp(scores - scores.max(axis=1, keepdims=True))
        return exponents / exponents.sum(axis=1, keepdims=True)


def trained() -> NearestMean:
    """The classifier, from all pictures of scikit-learn's digits but the last 300."""
    digits = load_digits()
    return NearestMean(digits.data[:-_HELD_OUT], digits.target[:-_HELD_OUT])


def sample(digit: int) -> bytes:
    """A picture of `digit` that was held out."""
    digits = load_digits()
    found = next(number for number in range(-_HELD_OUT, 0) if digits.target[number] == digit)
    return digits.data[found].astype(np.uint8).tobytes()

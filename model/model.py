"""Classifies handwritten digits of 8 by 8 pixels: on a GPU if CuPy finds one, else with NumPy."""

from __future__ import annotations

import json
import logging
import math
from types import ModuleType

import numpy as np

import chassis

_LOG = logging.getLogger("digits")

_PIXELS = 64
_LARGEST = 1e6
_SCORE_DIGITS = 4

_classifier = None


class Classifier:
    """A linear classifier over products of pixels, as `train.py` makes it.

    Its arrays belong to `arrays`, the module `numpy` or `cupy`. What it does to them is elementwise or a sum, so that
    CuPy needs neither cuBLAS nor cuDNN; for whole-numbered pixels every score is exact, on any device.
    """

    def __init__(self, arrays: ModuleType, weights: dict[str, np.ndarray]) -> None:
        """Takes the arrays of weights.npz: `first` and `second` pixel of each feature, `weights`, `score_bits`."""
        self._arrays = arrays
        self._first = arrays.asarray(weights["first"].astype(np.int64))
        self._second = arrays.asarray(weights["second"].astype(np.int64))
        self._weights = arrays.asarray(np.ascontiguousarray(weights["weights"].T.astype(np.float64)))
        self._unit = float(2 ** int(weights["score_bits"]))

    def classify(self, images: np.ndarray) -> tuple[list[int], list[float]]:
        """Returns the digit and its probability for each of `images`, float64 of shape (images, 64), values 0 to 16."""
        arrays = self._arrays
        padded = arrays.asarray(np.concatenate([images, np.full((len(images), 1), 16.0)], axis=1))
        features = padded[:, self._first] * padded[:, self._second]
        # One class after another: memory stays that of the features, however many images come at once.
        scores = arrays.stack([(features * weights).sum(axis=1) for weights in self._weights], axis=1) / self._unit
        best = scores.argmax(axis=1)
        # The softmax of the best class, whose own exponent is 0.
        probabilities = 1.0 / arrays.exp(scores - scores.max(axis=1, keepdims=True)).sum(axis=1)
        return best.tolist(), probabilities.tolist()


def batch_process(inputs: list[bytes]) -> list[list[dict]]:
    """Classifies the digits of several inputs at once.

    Args:
      inputs: JSON, each one list of 64 numbers or a list of such lists; a pixel is 0 (white) to 16 (black), row by row.

    Returns:
      For each input a list with one `{"data": {"result": {"classPredictions": [{"class": 3, "score": 0.99}]}}}` a row.

    Raises:
      ValueError: an input is malformed; the message names the defect.
    """
    rows = [parse(content) for content in inputs]
    digits, scores = _load().classify(np.array([row for image_rows in rows for row in image_rows], np.float64))
    predictions = iter(zip(digits, scores, strict=True))
    return [[_prediction(*next(predictions)) for _ in image_rows] for image_rows in rows]


def parse(content: bytes) -> list[list[float]]:
    """Returns the rows of one input.

    Raises:
      ValueError: it is not JSON, not lists of 64 numbers, or holds a number that is not a pixel.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the input is not JSON: {error}") from None
    if not isinstance(value, list) or not value:
        raise ValueError(f"expected a list of {_PIXELS} numbers or a list of such lists, got {_short(value)}")
    rows = value if isinstance(value[0], list) else [value]
    for number, row in enumerate(rows):
        if not isinstance(row, list):
            raise ValueError(f"row {number}: expected a list of {_PIXELS} numbers, got {_short(row)}")
        if len(row) != _PIXELS:
            raise ValueError(f"row {number} has {len(row)} numbers, expected {_PIXELS}")
        for place, pixel in enumerate(row):
            if isinstance(pixel, bool) or not isinstance(pixel, int | float):
                raise ValueError(f"row {number}, pixel {place}: expected a number, got {_short(pixel)}")
            if math.isnan(pixel) or not -_LARGEST <= pixel <= _LARGEST:
                raise ValueError(f"row {number}, pixel {place} is {_short(pixel)}, expected 0 to 16")
    return rows


def _prediction(digit: int, score: float) -> dict:
    return {"data": {"result": {"classPredictions": [{"class": digit, "score": round(score, _SCORE_DIGITS)}]}}}


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:40] + "…"


def _load() -> Classifier:
    """Returns the classifier, made at the first call."""
    global _classifier
    if _classifier is None:
        with np.load(chassis.data_path("weights.npz")) as weights:
            _classifier = Classifier(_array_module(), dict(weights))
    return _classifier


def _array_module() -> ModuleType:
    """Returns `cupy` if it is installed and a GPU answers, else `numpy`; says in the log which."""
    try:
        import cupy

        # Compiles and runs a kernel, so that a driver that is there but does not work shows here.
        if int((cupy.arange(3) * 2).sum()) != 6:
            raise ArithmeticError("it computes 0 + 2 + 4 wrongly")
        device = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    except ImportError as error:
        _LOG.info("NumPy computes: no CuPy (%s)", error)
    except Exception as error:
        _LOG.warning("NumPy computes: no GPU answers (%s)", " ".join(str(error).split()) or type(error).__name__)
    else:
        _LOG.info("CuPy computes, on %s", device)
        return cupy
    return np

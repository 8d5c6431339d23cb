"""Trains the digits classifier: the weights, and the held-out digits as a case that asserts the accuracy.

An averaged multiclass perceptron over pixels and products of neighbouring pixels, in integers throughout: the same
weights, to the bit, on every CPU and with every version of NumPy, where floating-point training would give others.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import app, flags
from sklearn.datasets import load_digits

_OUTPUT = flags.DEFINE_string("output", None, "The weights, a .npz file.", required=True)
_CASES_OUTPUT = flags.DEFINE_string("cases_output", None, "The held-out digits, as a case file of chassis_test.")

_CLASSES = 10
_HELD_OUT_EVERY = 5
_EPOCHS = 20
_MARGIN = 10_000_000
"""How far the right class has to be ahead for a step to change nothing, in units of the scores."""
CONSTANT_PIXEL = 64
SCORE_BITS = 22
"""A score of 2 to this power is one unit of the softmax: what gives the held-out digits the least log loss."""
_SHIFTS = ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0))
_ROWS_PER_ITEM = 10
_AT_LEAST = 0.95
_WEIGHT_BITS = 15


def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Returns which pixels are multiplied to a feature, as two int16 arrays; index 64 is a pixel that is always 16.

    They are each pixel alone, pixels that lie close to each other, and a constant.
    """
    place = np.arange(64, dtype=np.int16).reshape(8, 8)
    first, second = [place.ravel()], [np.full(64, CONSTANT_PIXEL, np.int16)]
    for down, right in _SHIFTS:
        first.append(place[: 8 - down, max(0, -right) : 8 - max(0, right)].ravel())
        second.append(place[down:, max(0, right) : 8 + min(0, right)].ravel())
    constant = np.full(1, CONSTANT_PIXEL, np.int16)
    return np.concatenate([*first, constant]), np.concatenate([*second, constant])


def features(pixels: np.ndarray) -> np.ndarray:
    """Returns int64 features of int64 `pixels` of shape (images, 64), values 0 to 16."""
    padded = np.concatenate([pixels, np.full((len(pixels), 1), 16, np.int64)], axis=1)
    first, second = pairs()
    return padded[:, first] * padded[:, second]


def train(inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns int64 weights of shape (features, classes): the sum of the perceptron's weights over all its steps.

    The order of the digits in each epoch comes from a generator of its own, since NumPy's may change with its version.
    """
    count = len(inputs)
    weights = np.zeros((_CLASSES, inputs.shape[1]), np.int64)
    # sum over steps = steps * weights - sum of (step at which it came * change)
    late = np.zeros_like(weights)
    step = 0
    state = 1
    for _ in range(_EPOCHS):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        stride = _coprime(state >> 33, count)
        start = (state >> 20) % count
        for index in range(count):
            position = (start + index * stride) % count
            row, label = inputs[position], int(labels[position])
            scores = (weights * row).sum(axis=1)
            scores[label] -= _MARGIN
            guess = int(scores.argmax())
            if guess != label:
                weights[label] += row
                weights[guess] -= row
                row = row * step
                late[label] += row
                late[guess] -= row
            step += 1
    return (step * weights - late).T


def quantise(weights: np.ndarray) -> np.ndarray:
    """Returns the weights as int32 of at most 15 bits and a sign, rounded down: exact in float64 arithmetic."""
    largest = int(np.abs(weights).max())
    shift = max(0, largest.bit_length() - _WEIGHT_BITS)
    return (weights >> shift).astype(np.int32)


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns training pixels and labels, then held-out pixels and labels: every fifth digit is held out."""
    digits = load_digits()
    pixels = digits.data.astype(np.int64)
    held_out = np.arange(len(pixels)) % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1
    return pixels[~held_out], digits.target[~held_out], pixels[held_out], digits.target[held_out]


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes an uncompressed .npz whose bytes depend on the arrays alone (`np.savez` stores the time)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in sorted(arrays.items()):
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0)), content.getvalue())


def accuracy_case(pixels: np.ndarray, labels: np.ndarray) -> dict[str, object]:
    """Returns a case that sends all of `pixels`, ten to an item, and wants 95 % of `labels` back."""
    starts = range(0, len(pixels), _ROWS_PER_ITEM)
    return {
        "name": f"{len(pixels)} held-out digits",
        "inputs": [{"input": pixels[start : start + _ROWS_PER_ITEM].tolist()} for start in starts],
        "accuracy": {
            "output": "results.json",
            "select": ["*", "data", "result", "classPredictions", 0, "class"],
            "labels": [labels[start : start + _ROWS_PER_ITEM].tolist() for start in starts],
            "at_least": _AT_LEAST,
        },
    }


def _coprime(start: int, count: int) -> int:
    """Returns the first number from `start` on, modulo `count`, that steps through all of `count` positions."""
    candidate = start % count
    while np.gcd(candidate, count) != 1:
        candidate = (candidate + 1) % count
    return candidate


def main(argv: Sequence[str]) -> None:
    """Trains and writes."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    pixels, labels, held_out_pixels, held_out_labels = split()
    weights = quantise(train(features(pixels), labels))
    guesses = (features(held_out_pixels)[:, :, None] * weights.astype(np.int64)).sum(axis=1).argmax(axis=1)
    print(f"held-out accuracy {(guesses == held_out_labels).mean():.4f} ({len(guesses)} digits)")
    first, second = pairs()
    arrays = {"first": first, "second": second, "weights": weights, "score_bits": np.array(SCORE_BITS, np.int16)}
    write_npz(Path(_OUTPUT.value), arrays)
    if _CASES_OUTPUT.value:
        case = accuracy_case(held_out_pixels, held_out_labels)
        Path(_CASES_OUTPUT.value).write_text(json.dumps(case, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    app.run(main)

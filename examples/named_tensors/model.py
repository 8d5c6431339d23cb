"""Finds the nearest of three centres: named tensors in, named tensors out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

CENTRES = np.array([[0, 0], [4, 0], [0, 3]], dtype=np.float32)


def predict(points: Sequence[Mapping[str, bytes]]) -> list[dict[str, bytes]]:
    """The distance of each point to each centre, and the number of the nearest."""
    rows = np.frombuffer(b"".join(point["point"] for point in points), "<f4").reshape(-1, 1, 2)
    distances = np.sqrt(((rows - CENTRES) ** 2).sum(axis=2))
    return [
        {"distances": row.astype("<f4").tobytes(), "nearest": np.int64(row.argmin()).tobytes()} for row in distances
    ]

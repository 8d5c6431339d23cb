"""Calls two packages that are compiled in the build through meson-python and scikit-build-core."""

from __future__ import annotations

import contourpy
import numpy as np
import spglib
from contourpy import _contourpy


def predict(data: bytes) -> object:
    """The contour of a slope at a level (C++ with pybind11), and the symmetry of copper (C), whatever the level."""
    slope = contourpy.contour_generator(z=[[0.0, 1.0], [0.0, 1.0]], name="serial")
    corners_and_faces = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    return {
        "compiled": _contourpy.__file__.endswith(".so"),
        "contour": [line.tolist() for line in slope.lines(float(data))],
        "crystal": spglib.get_spacegroup((np.eye(3) * 3.61, corners_and_faces, [29] * 4)),
    }

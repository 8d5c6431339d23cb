"""A model that imports much, as models do that are trained with scikit-learn."""

from __future__ import annotations

import scipy.integrate
import scipy.interpolate
import scipy.ndimage
import scipy.optimize
import scipy.signal
import scipy.stats
import sklearn.cluster
import sklearn.decomposition
import sklearn.ensemble
import sklearn.linear_model
import sklearn.model_selection
import sklearn.neighbors
import sklearn.pipeline
import sklearn.svm

_IMPORTED = (
    scipy.integrate,
    scipy.interpolate,
    scipy.ndimage,
    scipy.optimize,
    scipy.signal,
    scipy.stats,
    sklearn.cluster,
    sklearn.decomposition,
    sklearn.ensemble,
    sklearn.linear_model,
    sklearn.model_selection,
    sklearn.neighbors,
    sklearn.pipeline,
    sklearn.svm,
)


def process(item: bytes) -> list[str]:
    """What it imported."""
    return [module.__name__ for module in _IMPORTED if item]

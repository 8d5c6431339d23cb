"""Fits a classifier of irises, and converts it."""

from __future__ import annotations

import sys
from pathlib import Path

from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

flowers, species = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=1000).fit(flowers, species)
converted = to_onnx(model, flowers[:1].astype("f4"), options={"zipmap": False})
Path(sys.argv[1]).write_bytes(converted.SerializeToString())

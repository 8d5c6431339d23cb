"""XGBoost: a booster, saved as JSON or UBJSON (`save_model`)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xgboost


def load(path: Path, outputs: Sequence[str]) -> Any:
    """The booster in `path`."""
    booster = xgboost.Booster(model_file=str(path))
    threads = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # OpenMP takes one for each level: `2,1`
    booster.set_param({"nthread": int(threads if threads.isdecimal() else 0)})
    return booster


def predict(booster: Any, given: Any) -> Any:
    """The predictions for the rows of a frame, or of an array; NaN is a missing value."""
    if hasattr(given, "columns") and booster.feature_names:
        given = given[booster.feature_names]
    return booster.inplace_predict(given, validate_features=hasattr(given, "columns"))


def describe(path: Path, columns: Sequence[str], inputs: Sequence[str], outputs: Sequence[str]) -> Mapping[str, object]:
    """The columns, or the tensor, of its features: all are numbers, of which any may be missing."""
    booster = load(path, outputs)
    names = [str(name) for name in booster.feature_names or ()]
    lacking = [name for name in names if name not in columns] if columns else []
    if lacking:
        raise ValueError(f"`columns` lacks {', '.join(lacking)}; the booster was trained with {', '.join(names)}")
    if columns or inputs:
        return {}
    if names:
        return {"columns": {name: "FP32?" for name in names}}
    return {"inputs": {"input": {"tensor": f"FP32[{booster.num_features()}]"}}}

"""LightGBM: a booster, saved as text (`save_model`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightgbm


def load(path: Path, outputs: Sequence[str]) -> Any:
    """The booster in `path`; OpenMP gives it its threads."""
    return lightgbm.Booster(model_file=str(path))


def predict(booster: Any, given: Any) -> Any:
    """The predictions for the rows of a frame, or of an array; NaN is a missing value."""
    if hasattr(given, "columns"):
        given = given[_columns(booster, given.columns)]
    return booster.predict(given)


def _columns(booster: Any, columns: Sequence[str]) -> list[str]:
    """The booster's features in their order, which it names with `_` for what its format lacks."""
    known = {_plain(name): name for name in columns}
    return [known[name] for name in booster.feature_name()]


def _plain(name: str) -> str:
    return name.replace(" ", "_")


def describe(path: Path, columns: Sequence[str], inputs: Sequence[str], outputs: Sequence[str]) -> Mapping[str, object]:
    """The columns of its features: all are numbers, of which any may be missing."""
    names = [str(name) for name in load(path, outputs).feature_name()]
    known = {_plain(name) for name in columns}
    lacking = [name for name in names if name not in known] if columns else []
    if lacking:
        raise ValueError(f"`columns` lacks {', '.join(lacking)}; the booster was trained with {', '.join(names)}")
    return {} if columns or inputs else {"columns": {name: "FP64?" for name in names}}

"""scikit-learn: an estimator or a pipeline, saved by joblib or pickle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import joblib

_METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "transform")


class Loaded(NamedTuple):
    """An estimator.

    Attributes:
      names: the columns that it was fitted with, in their order; empty if it was not fitted with a frame.
      methods: by output, what gives it; one alone gives its result itself.
    """

    names: list[str]
    methods: dict[str, Any]


def load(path: Path, outputs: Sequence[str]) -> Loaded:
    """The estimator in `path`. An output that is named as one of its methods is that method's, another `predict`'s."""
    estimator = joblib.load(path)
    usual = "predict" if hasattr(estimator, "predict") else "transform"
    chosen = {output: output if output in _METHODS else usual for output in outputs}
    lacking = next((method for method in chosen.values() if not hasattr(estimator, method)), None)
    if lacking is not None or len(set(chosen.values())) < len(outputs):
        there = ", ".join(method for method in _METHODS if hasattr(estimator, method))
        raise ValueError(
            f"outputs {', '.join(outputs)}: a {type(estimator).__name__} has the methods {there}; name outputs as those"
        )
    methods = {output: getattr(estimator, method) for output, method in chosen.items()}
    return Loaded([str(name) for name in getattr(estimator, "feature_names_in_", ())], methods)


def predict(loaded: Loaded, given: Any) -> Any:
    """What the methods give for the rows of a frame, or of an array."""
    if loaded.names and hasattr(given, "columns"):
        given = given[loaded.names]
    found = {output: method(given) for output, method in loaded.methods.items()}
    return found if len(found) > 1 else next(iter(found.values()))


def describe(path: Path, columns: Sequence[str], inputs: Sequence[str], outputs: Sequence[str]) -> Mapping[str, object]:
    """Nothing: an estimator knows the names of its columns, and not their types."""
    loaded = load(path, outputs)
    if not columns and not inputs:
        names = ", ".join(loaded.names) or "none, but for an array"
        raise ValueError(
            "the estimator does not say of which types its inputs are: declare `columns`, such as "
            f'{{"amount": "FP64?"}}, or `tensors`, such as {{"input": "FP64[4]"}}; it was fitted with columns: {names}'
        )
    lacking = [name for name in loaded.names if name not in columns] if columns else []
    if lacking:
        raise ValueError(
            f"`columns` lacks {', '.join(lacking)}; the estimator was fitted with {', '.join(loaded.names)}"
        )
    return {}

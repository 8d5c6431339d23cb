"""Frameworks whose files are models by themselves, without a function: what each needs among a model's dependencies."""

from __future__ import annotations

FRAMEWORKS = {
    "lightgbm": ("lightgbm",),
    "litert": ("ai-edge-litert",),
    "mlflow": ("mlflow-skinny",),
    "onnx": ("onnxruntime",),
    "sklearn": ("scikit-learn", "joblib"),
    "torch": ("torch", "numpy"),
    "xgboost": ("xgboost",),
}
"""By name of the framework, and of the module in chassis/frameworks, the distributions that its adapter imports."""

BATCH_SIZE = 64
"""The most inputs of one call of such a model, unless it declares another."""

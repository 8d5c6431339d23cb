"""Fits rents of flats, and saves what MLflow saves of a run: the directory of a model, with its signature."""

import sys

import mlflow.sklearn
import pandas as pd
from mlflow.models import Model, infer_signature
from sklearn.linear_model import LinearRegression

flats = pd.DataFrame({"area": [20.0, 45.0, 60.0, 95.0, 130.0], "rooms": [1.0, 2.0, 3.0, 3.0, 5.0]})
model = LinearRegression().fit(flats, 300 + 15 * flats["area"] + 40 * flats["rooms"])
mlflow.sklearn.save_model(
    model,
    sys.argv[1],
    mlflow_model=Model(model_uuid="0" * 32, utc_time_created="2026-01-01"),  # the same bytes each time
    pip_requirements=[],
    serialization_format="cloudpickle",
    signature=infer_signature(flats, model.predict(flats)),
)

"""Fits the pipeline on flats that are made up, of which somebody did not say all, and saves it."""

from __future__ import annotations

import sys

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from examples.scikit_learn import features

COUNT = 500

random = np.random.default_rng(1)
flats = pd.DataFrame(
    {
        "area": random.uniform(20, 150, COUNT).round(),
        "rooms": random.choice([1, 2, 3, 4, np.nan], COUNT),
        "city": random.choice(["Basel", "Bern", None], COUNT),
        "listed": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 1800, COUNT), "D"),
    }
)
rents = 300 + 15 * flats["area"] + 200 * (flats["city"] == "Basel") + random.normal(0, 50, COUNT).round()
columns = make_column_transformer(
    (SimpleImputer(), ["area", "rooms", "months", "per_room"]), (OneHotEncoder(handle_unknown="ignore"), ["city"])
)
model = make_pipeline(FunctionTransformer(features.of_flats), columns, Ridge())
joblib.dump(model.fit(flats, rents), sys.argv[1])

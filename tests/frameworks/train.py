"""Trains a booster of XGBoost, one of LightGBM and a pipeline of scikit-learn: `a` twice, and `b`."""

from __future__ import annotations

import sys

import joblib
import lightgbm
import numpy as np
import pandas as pd
import xgboost
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeRegressor

from tests.frameworks import features

frame = pd.DataFrame({"a": [0.0, 1.0, 2.0, np.nan, 4.0] * 20, "b": [1.0, 0.0, 3.0, 2.0, 1.0] * 20})
target = frame["a"].fillna(0) * 2 + frame["b"]
booster = xgboost.train({"max_depth": 2, "nthread": 1}, xgboost.DMatrix(frame, target), 20)
booster.save_model(sys.argv[1])
parameters = {"min_data_in_leaf": 1, "num_threads": 1, "verbose": -1}
lightgbm.train(parameters, lightgbm.Dataset(frame, target), 20).save_model(sys.argv[2])
pipeline = make_pipeline(FunctionTransformer(features.of_frame), DecisionTreeRegressor(random_state=1))
joblib.dump(pipeline.fit(frame, target), sys.argv[3])

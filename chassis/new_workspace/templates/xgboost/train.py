"""Makes widths.json, once: `pip install xgboost-cpu pandas scikit-learn && python train.py`."""

import xgboost
from sklearn.datasets import load_iris

flowers = load_iris(as_frame=True).data.round(1)
flowers.columns = [name.removesuffix(" (cm)").replace(" ", "_") for name in flowers.columns]
measured = flowers[["sepal_length", "sepal_width", "petal_length"]]
settings = {"max_depth": 2, "learning_rate": 0.5, "nthread": 1, "seed": 0}
booster = xgboost.train(settings, xgboost.DMatrix(measured, flowers["petal_width"]), num_boost_round=6)
booster.save_model("widths.json")

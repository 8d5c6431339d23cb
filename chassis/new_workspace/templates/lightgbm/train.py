"""Makes widths.txt, once: `pip install lightgbm pandas scikit-learn && python train.py`."""

import lightgbm
from sklearn.datasets import load_iris

flowers = load_iris(as_frame=True).data.round(1)
flowers.columns = [name.removesuffix(" (cm)").replace(" ", "_") for name in flowers.columns]
measured = flowers[["sepal_length", "sepal_width", "petal_length"]]
settings = {"num_leaves": 4, "learning_rate": 0.5, "num_threads": 1, "seed": 0, "deterministic": True, "verbose": -1}
booster = lightgbm.train(settings, lightgbm.Dataset(measured, flowers["petal_width"]), num_boost_round=6)
booster.save_model("widths.txt")

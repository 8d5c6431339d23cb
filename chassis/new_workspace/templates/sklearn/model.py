"""Classifies irises by four lengths, in centimetres."""

import json

from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

# The build runs this once, and the image has the result. A model from a file instead: `data = ["iris.joblib"]` in
# BUILD.bazel, and `joblib.load(chassis.data_path("iris.joblib"))` here.
DATA, SPECIES = load_iris(return_X_y=True)
CLASSIFIER = DecisionTreeClassifier(max_depth=3, random_state=0).fit(DATA, SPECIES)
NAMES = load_iris().target_names.tolist()


def predict(inputs: list[bytes]) -> list[dict[str, object]]:
    """Requests that wait form one call: an answer for each, in order."""
    probabilities = CLASSIFIER.predict_proba([json.loads(data) for data in inputs])
    return [{"species": NAMES[row.argmax()], "probability": float(row.max())} for row in probabilities]

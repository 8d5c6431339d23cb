import json
import platform

import joblib
import numpy
from acme.geo.distance import between
from acme.text.words import count
from scaled_values.scaled_values import scaled


def score(content: bytes) -> dict:
    asked = json.loads(content)
    return {
        "score": float(scaled(asked["amounts"]).sum()) + between(1.0, 3.0) + count(asked["note"]),
        "numpy": numpy.__version__,
        "python": platform.python_version()[:4],
        "joblib": joblib.hash(1) == joblib.hash(1),
    }

import json

import numpy


def forecast(content: bytes) -> dict:
    return {"next": float(numpy.mean(json.loads(content)))}

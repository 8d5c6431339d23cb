import json

import numpy


def order(content: bytes) -> dict:
    return {"order": numpy.argsort(json.loads(content)).tolist()}

import json
import platform

import numpy
from PIL import Image
from scaled_values.scaled_values import scaled


def thumbnail(content: bytes) -> dict:
    picture = Image.fromarray(scaled(json.loads(content)).astype("uint8").reshape(1, -1))
    versions = {"numpy": numpy.__version__, "python": platform.python_version()[:4]}
    return {"size": list(picture.resize((2, 2)).size)} | versions

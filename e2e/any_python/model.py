"""Says what it runs on, and adds up."""

import json
import sys

import numpy
from sums import total


def process(data: bytes) -> dict[str, object]:
    values = json.loads(data)
    added = int(numpy.asarray(values).sum())
    return {"same": added == total(values), "sum": added, "python": sys.version_info[0]}

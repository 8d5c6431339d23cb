"""model.json: what the build tells the server in the image. The build writes it, the server reads it.

{"format": 1, "python": "3.11",             of the Python that pickled the model
 "signature": "bytes",                      or another of SIGNATURES: what one item is for the function
 "takes_request": true,                     if the function takes the request beside it; else left out
 "name": "digits", "version": "0.0.1",      and each field of the declaration that is served, under its key there
 "inputs": [{"name": "input", "media_type": "application/json", "max_size": "10M", "max_bytes": 10485760}],
 "outputs": [{…, "datatype": "FP32", "shape": [3, -1]}],
 "columns": [["amount", "FP64?"]],           if the model declares any; else left out
 "run_timeout": 60.0, …}                    durations in seconds
"""

from __future__ import annotations

import json
from typing import Any

from chassis.declaration.model import ModelMetadata

SIGNATURES = ("bytes", "mapping", "table", "rows", "array", "arrays", "image", "text", "json")
"""What an item is for a function: see chassis/runtime/codecs for all but the first two."""

FORMAT = 1
"""The version of model.json that is written and read here."""


def write_model_json(metadata: ModelMetadata, signature: str, python: str, *, takes_request: bool = False) -> bytes:
    """Returns model.json for a function of the kind `signature`, pickled by the Python of minor version `python`.

    `takes_request` says whether it takes the request beside its input.
    """
    document: dict[str, object] = {"format": FORMAT, "python": python, "signature": signature}
    if takes_request:
        document["takes_request"] = True
    for one in metadata.FIELDS:
        value = getattr(metadata, one.name)
        if one.served and (one.kind.left_out is None or value != one.kind.left_out):
            document[one.served] = one.kind.served(value)
    return (json.dumps(dict(sorted(document.items())), indent=1) + "\n").encode()


def read_served(document: dict[str, Any]) -> dict[str, Any]:
    """Returns the served fields of a model.json that was parsed, under their keys there.

    Raises:
      ValueError, TypeError, KeyError: it has something else than `write_model_json` writes.
    """
    return {
        one.served: one.kind.left_out
        if one.kind.left_out is not None and one.served not in document
        else one.kind.read(document[one.served])
        for one in ModelMetadata.FIELDS
        if one.served
    }

"""Requests to the model `tested` over HTTP, by the Open Inference Protocol v2 and KServe's v1."""

from __future__ import annotations

from tests.support.http_client import HttpAnswer, call
from tests.support.running_server import RunningServer

INFER = "/v2/models/tested/infer"
PREDICT = "/v1/models/tested:predict"

TENSOR = {"name": "input", "datatype": "BYTES", "shape": [1], "data": ["a"]}
"""One item of v2."""


def infer(server: RunningServer, *contents: str, **fields: object) -> HttpAnswer:
    """Asks over v2 for an item of each of `contents`; `fields` are further ones of the request."""
    tensor = {**TENSOR, "shape": [len(contents)], "data": list(contents)}
    return call(server.http_port, "POST", INFER, {"inputs": [tensor], **fields})


def predict(server: RunningServer, *instances: object) -> HttpAnswer:
    """Asks over v1 for `instances`."""
    return call(server.http_port, "POST", PREDICT, {"instances": list(instances)})

"""The models as BentoML wants them: a service with a batchable method."""

from __future__ import annotations

import os

import bentoml
import digits


@bentoml.service
class Digits:
    """`MODEL_KIND` and `MODEL_WEIGHTS` choose the model."""

    def __init__(self) -> None:
        self._digits = digits.load(os.environ["MODEL_WEIGHTS"], os.environ["MODEL_KIND"])

    @bentoml.api(batchable=True, max_batch_size=digits.BATCH_SIZE, max_latency_ms=10_000)
    def predict(self, inputs: list[str]) -> list[dict]:
        return self._digits([text.encode() for text in inputs])

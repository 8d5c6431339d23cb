"""The models as MLServer wants them: a runtime whose inputs are a BYTES tensor."""

from __future__ import annotations

import json
import os

import digits
from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class DigitsRuntime(MLModel):
    """`MODEL_KIND` and `MODEL_WEIGHTS` choose the model."""

    async def load(self) -> bool:
        self._digits = digits.load(os.environ["MODEL_WEIGHTS"], os.environ["MODEL_KIND"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        contents = [text.encode() for text in StringCodec.decode_input(payload.inputs[0])]
        answers = [json.dumps(answer, separators=(",", ":")) for answer in self._digits(contents)]
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("results.json", answers)])

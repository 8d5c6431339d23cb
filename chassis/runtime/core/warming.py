"""Calls before the model counts as ready: the first are slow, since code is compiled and memory mapped.

The build writes them, of case files: {"requests": [{"name": "seven", "items": [{"input": BASE64}, …]}, …]}.
"""

from __future__ import annotations

import base64
import json

from chassis.errors import ChassisError
from chassis.runtime.core.answer import describe_exception
from chassis.runtime.core.predict import Predict

FILE = "warmup.json"


class WarmUpError(ChassisError):
    """A call before the model is ready that failed."""


def warm_up(predict: Predict, model_dir: str) -> int:
    """Makes the calls that `model_dir` holds; returns how many items they had.

    Raises:
      WarmUpError: an item failed; the message names its request.
    """
    try:
        with open(f"{model_dir}/{FILE}", "rb") as file:
            requests = json.load(file)["requests"]
    except FileNotFoundError:
        return 0
    done = 0
    most = max(1, predict.batch_size)
    for request in requests:
        items = [{name: base64.b64decode(text) for name, text in item.items()} for item in request["items"]]
        for start in range(0, len(items), most):
            _call(predict, str(request["name"]), items[start : start + most], start)
        done += len(items)
    return done


def _call(predict: Predict, name: str, items: list[dict[str, bytes]], first: int) -> None:
    refusals = [predict.contract.refusal(item) for item in items]
    try:
        answers = refusals if any(refusals) else predict(items)
    except BaseException as error:
        raise WarmUpError(f"warm-up {name!r}, item {first}: {describe_exception(error)}") from error
    for index, answer in enumerate(answers):
        if answer is not None and answer.error is not None:
            raise WarmUpError(f"warm-up {name!r}, item {first + index}: {answer.error}")

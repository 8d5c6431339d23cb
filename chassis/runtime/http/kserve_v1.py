"""KServe's v1 protocol: `instances` in, `predictions` out.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Mapping

from chassis.declaration.model_io import ModelOutput
from chassis.declaration.tensor import BYTES
from chassis.runtime.base64_text import decode_base64
from chassis.runtime.core.answer import Item
from chassis.runtime.core.contract import Part
from chassis.runtime.core.request_error import RequestError, quoted
from chassis.runtime.core.service import ModelService, ModelState
from chassis.runtime.http.json_body import read_object
from chassis.runtime.http.message import Request, Response, Route, json_response, write_json
from chassis.runtime.http.tensor_json import asked_parameters
from chassis.runtime.inference.exchange import Identity, answered, check_room, output_tensor
from chassis.runtime.inference.tensor import from_nested, nested

PROTOCOL = "v1-http"

_JSON = "application/json"


class KserveV1:
    """The handlers of one model."""

    def __init__(self, model: ModelService, identity: Identity, *, one_input: bool) -> None:
        """Takes the model, its name, and whether an instance is the content of its only input."""
        self._model = model
        self._identity = identity
        self._one_input = one_input
        self._typed = model.contract.is_typed

    def routes(self) -> list[Route]:
        """The protocol."""
        model = f"/v1/models/{self._identity.name}"
        return [
            # What KServe's own servers say, and its clients ask.
            Route("/", "GET", lambda _: json_response(200, {"status": "alive"}), "v1_live"),
            Route("/v1/models", "GET", lambda _: json_response(200, {"models": [self._identity.name]}), "v1_models"),
            Route(model, "GET", self.ready, "v1_ready"),
            Route(f"{model}:predict", "POST", self.predict, "predict"),
        ]

    def ready(self, _: Request) -> Response:
        """Whether the model answers."""
        ready = self._model.state is ModelState.READY
        return json_response(200 if ready else 503, {"name": self._identity.name, "ready": ready})

    async def predict(self, request: Request) -> Response:
        """Answers `POST /v1/models/NAME:predict`."""
        started = time.perf_counter()
        status: int | str = "cancelled"
        try:
            answers = await answered(self._model, self._items(request), request.caller)
            predictions = [self._prediction(answer.output or {}) for answer in answers]
            status = 200
            return Response(200, b'{"predictions":[' + b",".join(predictions) + b"]}")
        except Exception as error:
            status = error.status if isinstance(error, RequestError) else 500
            raise
        finally:
            self._model.finish_request(PROTOCOL, str(status), started, request.caller)

    def _items(self, request: Request) -> list[Item]:
        """The items of `request`. When this returns its body is gone."""
        document = read_object(request.take_body(), self._model.budget, request.cost)
        instances = document.get("instances")
        if not isinstance(instances, list) or not instances:
            raise RequestError(400, "instances: expected a list of at least one")
        check_room(self._model, len(instances))
        if self._model.contract.takes_request:
            request.tell(self._model.contract, asked_parameters(document))
        found = []
        for index, instance in enumerate(instances):
            found.append(self._item(index, instance))
            instances[index] = None  # one copy at a time
        return found

    def _item(self, index: int, instance: object) -> Item:
        """An instance is an object of inputs, or the content of the only one."""
        parts = {part.name: part for part in self._model.contract.inputs}
        if isinstance(instance, dict) and instance.keys() != {"b64"} and instance and instance.keys() <= parts.keys():
            return {name: self._content(index, parts[name], value) for name, value in instance.items()}
        if len(parts) == 1 or self._one_input:
            name, part = next(iter(parts.items()))
            return {name: self._content(index, part, instance)}
        raise RequestError(400, f"instances, {index}: expected an object of the model's inputs {quoted(parts)}")

    def _content(self, index: int, part: Part, value: object) -> bytes:
        try:
            return input_content(part, value, typed=self._typed)
        except RequestError as error:
            raise RequestError(error.status, f"instances, {index}: {error}") from None

    def _prediction(self, output: Mapping[str, bytes]) -> bytes:
        """An item's output as JSON: the only one itself, several as an object."""
        parts = {part.name: part for part in self._model.contract.outputs}
        values = {
            name: self._value(content, parts[name] if name in parts else ModelOutput(name))
            for name, content in output.items()
        }
        if len(values) == 1:
            return next(iter(values.values()))
        return b"{" + b",".join(json.dumps(name).encode() + b":" + value for name, value in values.items()) + b"}"

    def _value(self, content: bytes, part: Part) -> bytes:
        if part.datatype != BYTES:
            return _numbers(content, part)
        if part.media_type == _JSON and (self._one_input or _is_json(content)):
            return content
        return json.dumps({"b64": base64.b64encode(content).decode()}).encode()


def _numbers(content: bytes, part: Part) -> bytes:
    try:
        value = nested(output_tensor(part, [content]))
    except ValueError as error:
        raise RequestError(500, f"output {part.name!r}: {error}") from None
    return write_json(value)


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def input_content(part: Part, value: object, *, typed: bool) -> bytes:
    """The content of an input in plain JSON: base64, numbers of a tensor in nested lists, text, or any JSON.

    It is for a function whose inputs are `typed`, or for one of bytes.

    Raises:
      RequestError: it is not one of these.
    """
    try:
        if isinstance(value, dict) and value.keys() == {"b64"}:
            return decode_base64(value["b64"])
        if part.datatype != BYTES:
            elements = from_nested(part.name, part.datatype, part.shape, value)
            if not typed:
                return elements
            from chassis.runtime.inference.typed_tensors import array_content  # here, since many models need none

            return array_content(part, elements)
        if isinstance(value, str):
            return value.encode()
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except (binascii.Error, TypeError, ValueError, RecursionError):
        raise RequestError(400, 'neither {"b64": base64} nor text nor JSON') from None

"""Open Inference Protocol v2 over HTTP: health, metadata, inference with tensors in JSON or in binary.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping

from chassis.declaration.tensor import BYTES
from chassis.runtime.core.answer import Item
from chassis.runtime.core.caller import Caller
from chassis.runtime.core.request_error import RequestError, quoted
from chassis.runtime.core.service import ModelState
from chassis.runtime.http.json_body import read_object
from chassis.runtime.http.kserve_v1 import input_content
from chassis.runtime.http.message import JSON, Request, Response, Route, json_response, write_json
from chassis.runtime.http.tensor_json import (
    HEADER_LENGTH,
    AskedOutputs,
    asked_parameters,
    optional,
    read_inputs,
    read_outputs,
    split,
    values,
)
from chassis.runtime.inference.exchange import (
    EXTENSIONS,
    PLATFORM,
    Piece,
    answered,
    inputs_metadata,
    items,
    outputs,
    outputs_metadata,
    parameters_of,
    streamed,
)
from chassis.runtime.inference.extensions import Extensions
from chassis.runtime.inference.tensor import Tensor, nested
from chassis.runtime.version import VERSION

PROTOCOL = "v2-http"

_TEXT_INPUT = "text_input"
_EVENTS = {"cache-control": "no-cache"}
_NOT_READY = 400
"""The protocol wants a status of the 400 class."""


class OpenInference:
    """The handlers of one model."""

    def __init__(self, extensions: Extensions) -> None:
        """Takes the model, with what extensions say of it."""
        self._model = extensions.model
        self._identity = extensions.identity
        self._extensions = extensions
        columns = extensions.model.contract.columns
        self._nullable = frozenset(column.name for column in columns if column.optional)
        names = {"model_name": self._identity.name, "model_version": self._identity.version}
        self._opening = write_json(names).removesuffix(b"}") + b',"outputs":'
        """What each answer begins with."""

    def health_routes(self) -> list[Route]:
        """Liveness and readiness, which orchestrators ask for whatever the protocol."""
        return [
            Route("/v2/health/live", "GET", lambda _: json_response(200, {"live": True}), "live"),
            Route("/v2/health/ready", "GET", self.ready, "ready"),
        ]

    def routes(self) -> list[Route]:
        """The protocol, but for health."""
        model = f"/v2/models/{self._identity.name}"
        found = [
            Route("/v2", "GET", self.server, "server"),
            Route("/v2/models", "GET", lambda _: json_response(200, {"models": [self._identity.name]}), "models"),
            Route("/v2/models/stats", "GET", self.statistics, "statistics"),
            Route("/v2/repository/index", "POST", self.index, "index"),
        ]
        for path in (model, f"{model}/versions/{self._identity.version}"):
            found += [
                Route(path, "GET", self.metadata, "metadata"),
                Route(f"{path}/ready", "GET", self.ready, "ready"),
                Route(f"{path}/infer", "POST", self.infer, "infer"),
                Route(f"{path}/generate", "POST", self.generate, "generate"),
                Route(f"{path}/generate_stream", "POST", self.generate_stream, "generate_stream"),
                Route(f"{path}/config", "GET", self.configuration, "configuration"),
                Route(f"{path}/stats", "GET", self.statistics, "statistics"),
            ]
        return found

    def server(self, _: Request) -> Response:
        """Server metadata."""
        return json_response(200, {"name": "chassis", "version": VERSION, "extensions": list(EXTENSIONS)})

    def ready(self, _: Request) -> Response:
        """Whether the model answers."""
        if self._model.state is ModelState.READY:
            return json_response(200, {"name": self._identity.name, "ready": True})
        return json_response(_NOT_READY, {"name": self._identity.name, "ready": False, "error": self._model.reason})

    def metadata(self, _: Request) -> Response:
        """The model's inputs and outputs."""
        contract = self._model.contract
        described: dict[str, list[dict[str, object]]] = {
            kind: [dict(zip(("name", "datatype", "shape"), one, strict=True)) for one in metadata]
            for kind, metadata in (("inputs", inputs_metadata(contract)), ("outputs", outputs_metadata(contract)))
        }
        for column, one in zip(contract.columns, described["inputs"], strict=False):
            one["parameters"] = {"type": column.type}
        return json_response(
            200,
            {
                "name": self._identity.name,
                "versions": [self._identity.version],
                "platform": PLATFORM,
                **described,
            },
        )

    def configuration(self, _: Request) -> Response:
        """The model's configuration."""
        return json_response(200, self._extensions.configuration())

    def statistics(self, _: Request) -> Response:
        """What the model has done."""
        return json_response(200, self._extensions.statistics())

    def index(self, request: Request) -> Response:
        """The one model, if only ready ones are asked for and it is not, none."""
        body = request.take_body()
        ready = read_object(body, self._model.budget, request.cost).get("ready") if body else None
        if not isinstance(ready, bool | None):
            raise RequestError(400, "ready: expected true or false")
        return json_response(200, self._extensions.models(ready=bool(ready)))

    async def infer(self, request: Request) -> Response:
        """Inference."""
        started = time.perf_counter()
        status: int | str = "cancelled"
        try:
            identifier, asked, wanted = self._read(request)
            answers = await answered(self._model, asked, request.caller)
            tensors = outputs(answers, self._model.contract.outputs, wanted.classes)
            response = self._response(identifier, wanted, tensors, parameters_of(answers))
            status = response.status
            return response
        except Exception as error:
            status = error.status if isinstance(error, RequestError) else 500
            raise
        finally:
            self._model.finish_request(PROTOCOL, str(status), started, request.caller)

    async def generate(self, request: Request) -> Response:
        """Inference with plain JSON, the whole at once.

        https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_generate.md
        """
        started = time.perf_counter()
        status: int | str = "cancelled"
        try:
            item = self._generated(request)
            answers = await answered(self._model, [item], request.caller)
            tensors = outputs(answers, self._model.contract.outputs, {})
            status = 200
            return Response(200, write_json(self._plain(Piece(tensors, parameters_of(answers)))))
        except Exception as error:
            status = error.status if isinstance(error, RequestError) else 500
            raise
        finally:
            self._model.finish_request(PROTOCOL, str(status), started, request.caller)

    async def generate_stream(self, request: Request) -> Response:
        """The same, piece by piece, as Server-Sent Events; an error is the last of them.

        What fails before the first piece has a status of its own.
        """
        started = time.perf_counter()
        status: int | str = "cancelled"
        try:
            pieces = streamed(self._model, [self._generated(request)], request.caller, {})
            first = await anext(pieces, None)
            status = 200
        except Exception as error:
            status = error.status if isinstance(error, RequestError) else 500
            raise
        finally:
            if status != 200:
                self._model.finish_request(PROTOCOL, str(status), started, request.caller)
        return Response(200, b"", "text/event-stream", _EVENTS, self._events(request.caller, started, first, pieces))

    async def _events(
        self,
        caller: Caller,
        started: float,
        first: Piece | None,
        pieces: AsyncGenerator[Piece, None],
    ) -> AsyncGenerator[bytes, None]:
        status: int | str = "cancelled"
        try:
            async with contextlib.aclosing(pieces):
                if first is not None:
                    yield _event(self._plain(first))
                async for piece in pieces:
                    yield _event(self._plain(piece))
            status = 200
        except RequestError as error:
            status = error.status
            yield _event({"error": str(error)})
        finally:
            self._model.finish_request(PROTOCOL, str(status), started, caller)

    def _generated(self, request: Request) -> Item:
        """The item of a request of the generate extension: each of the model's inputs under its name.

        A model of one input takes it as `text_input` too. Of other members `id` and `parameters` alone are read.
        """
        document = read_object(request.take_body(), self._model.budget, request.cost)
        contract = self._model.contract
        declared, typed = contract.inputs, contract.is_typed
        item = {
            part.name: input_content(part, document[part.name], typed=typed)
            for part in declared
            if part.name in document
        }
        if not item and len(declared) == 1 and _TEXT_INPUT in document:
            item = {declared[0].name: input_content(declared[0], document[_TEXT_INPUT], typed=typed)}
        if not item:
            raise RequestError(
                400, f"expected an object of the model's inputs {quoted(part.name for part in declared)}"
            )
        self._tell(request, document, {part.name for part in declared})
        return item

    def _tell(self, request: Request, document: Mapping[str, object], inputs: Collection[str] = ()) -> str:
        """Has the function told of `request`, if it takes that; returns the id that `document` gives it.

        What is one of the model's `inputs` is neither its id nor its parameters.
        """
        identifier = "" if "id" in inputs else optional(document, "id", "")
        if not isinstance(identifier, str):
            raise RequestError(400, "id: expected a string")
        given = {} if "parameters" in inputs else asked_parameters(document)
        if identifier or self._model.contract.takes_request:
            request.tell(self._model.contract, given, identifier)
        return identifier

    def _plain(self, piece: Piece) -> dict[str, object]:
        """The outputs of one item as JSON has them, under their names; what is JSON already is not put into a text."""
        parts = {part.name: part for part in self._model.contract.outputs}
        found: dict[str, object] = {"model_name": self._identity.name, "model_version": self._identity.version}
        if piece.parameters:
            found["parameters"] = dict(piece.parameters)
        for tensor in piece.tensors:
            content = tensor.elements[0]
            if tensor.datatype != BYTES:
                found[tensor.name] = nested(tensor)
            elif tensor.name in parts and parts[tensor.name].media_type == JSON:
                found[tensor.name] = json.loads(bytes(content))
            else:
                found[tensor.name] = bytes(content).decode(errors="replace")
        return found

    def _read(self, request: Request) -> tuple[str, list[Item], AskedOutputs]:
        """Of `request` its id, empty for none, what the model is asked, and what it says of the outputs.

        When this returns its body is gone: the items alone are left of it.
        """
        parts = split(request)
        binary = parts.pop()
        document = read_object(parts.pop(), self._model.budget, request.cost)
        identifier = self._tell(request, document)
        tensors = read_inputs(document, binary, self._nullable)
        wanted = read_outputs(document, self._model.contract.outputs)
        document.clear()
        return identifier, items(self._model, tensors), wanted

    def _response(
        self, identifier: str, wanted: AskedOutputs, tensors: Iterable[Tensor], parameters: Mapping[str, object]
    ) -> Response:
        described, contents = [], []
        for tensor in tensors:
            output: dict[str, object] = {
                "name": tensor.name,
                "datatype": tensor.datatype,
                "shape": list(tensor.shape),
            }
            if wanted.binary.get(tensor.name, wanted.otherwise):
                content = tensor.raw()
                contents.append(content)
                output["parameters"] = {"binary_data_size": len(content)}
            else:
                output.update(values(tensor))
            described.append(output)
        header = self._opening + write_json(described)
        if identifier:
            header += b',"id":' + write_json(identifier)
        if parameters:
            header += b',"parameters":' + write_json(dict(parameters))
        header += b"}"
        if not contents:
            return Response(200, header)
        return Response(
            200,
            b"".join([header, *contents]),
            "application/octet-stream",
            {HEADER_LENGTH: str(len(header))},
        )


def _event(document: dict[str, object]) -> bytes:
    return b"data: " + write_json(document) + b"\n\n"

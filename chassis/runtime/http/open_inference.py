"""Open Inference Protocol v2 over HTTP: health, metadata, inference with tensors in JSON or in binary.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable
from typing import NamedTuple

from chassis.runtime.core.request_error import RequestError
from chassis.runtime.core.service import ModelService, State
from chassis.runtime.http.json_body import read_object
from chassis.runtime.http.message import Request, Response, Route, json_response
from chassis.runtime.inference.exchange import EXTENSIONS, PLATFORM, Identity, infer, tensor_metadata
from chassis.runtime.inference.tensor import (
    Tensor,
    check_datatype,
    check_shape,
    from_raw,
    from_values,
)
from chassis.runtime.version import VERSION

PROTOCOL = "v2-http"

_HEADER_LENGTH = "inference-header-content-length"
_UNSUPPORTED = ("classification", "shared_memory_region", "shared_memory_offset", "shared_memory_byte_size")
_NOT_READY = 400
"""The protocol wants a status of the 400 class."""


class _Wanted(NamedTuple):
    """The outputs that a request asks for: name to whether it is to come in binary; `otherwise` is for unnamed ones."""

    binary: dict[str, bool]
    otherwise: bool


class OpenInference:
    """The handlers of one model."""

    def __init__(self, model: ModelService, identity: Identity) -> None:
        self._model = model
        self._identity = identity

    def health_routes(self) -> list[Route]:
        """Liveness and readiness, which orchestrators ask for whatever the protocol."""
        return [
            Route("/v2/health/live", "GET", lambda _: json_response(200, {"live": True}), "live"),
            Route("/v2/health/ready", "GET", self.ready, "ready"),
        ]

    def routes(self) -> list[Route]:
        """The protocol, but for health."""
        model = f"/v2/models/{self._identity.name}"
        found = [Route("/v2", "GET", self.server, "server")]
        for path in (model, f"{model}/versions/{self._identity.version}"):
            found += [
                Route(path, "GET", self.metadata, "metadata"),
                Route(f"{path}/ready", "GET", self.ready, "ready"),
                Route(f"{path}/infer", "POST", self.infer, "infer"),
            ]
        return found

    def server(self, _: Request) -> Response:
        """Server metadata."""
        return json_response(200, {"name": "chassis", "version": VERSION, "extensions": list(EXTENSIONS)})

    def ready(self, _: Request) -> Response:
        """Whether the model answers."""
        if self._model.state is State.READY:
            return json_response(200, {"name": self._identity.name, "ready": True})
        return json_response(_NOT_READY, {"name": self._identity.name, "ready": False, "error": self._model.reason})

    def metadata(self, _: Request) -> Response:
        """The model's inputs and outputs."""
        contract = self._model.contract
        described = {
            kind: [dict(zip(("name", "datatype", "shape"), tensor_metadata(part), strict=True)) for part in parts]
            for kind, parts in (("inputs", contract.inputs), ("outputs", contract.outputs))
        }
        return json_response(
            200,
            {
                "name": self._identity.name,
                "versions": [self._identity.version],
                "platform": PLATFORM,
                **described,
            },
        )

    async def infer(self, request: Request) -> Response:
        """Inference."""
        started = time.perf_counter()
        status: int | str = "cancelled"
        try:
            header, binary = _split(request)
            document = read_object(header)
            identifier = document.get("id", "")
            if not isinstance(identifier, str):
                raise RequestError(400, "id: expected a string")
            tensors = _read_inputs(document, binary)
            wanted = _read_outputs(document)
            answered = await infer(self._model, tensors, list(wanted.binary), request.caller)
            response = self._response(identifier, answered, wanted)
            status = response.status
            return response
        except Exception as error:
            status = error.status if isinstance(error, RequestError) else 500
            raise
        finally:
            self._model.finish_request(PROTOCOL, str(status), started, request.caller)

    def _response(self, identifier: str, tensors: Iterable[Tensor], wanted: _Wanted) -> Response:
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
                output.update(_values(tensor))
            described.append(output)
        document: dict[str, object] = {
            "model_name": self._identity.name,
            "model_version": self._identity.version,
            "outputs": described,
        }
        if identifier:
            document["id"] = identifier
        header = json.dumps(document, separators=(",", ":")).encode()
        if not contents:
            return Response(200, header)
        return Response(
            200,
            b"".join([header, *contents]),
            "application/octet-stream",
            {_HEADER_LENGTH: str(len(header))},
        )


def _split(request: Request) -> tuple[bytes, memoryview]:
    """The JSON and the binary data behind it."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise RequestError(415, f"content-encoding {encoding!r}: this server reads bodies that are not compressed")
    text = request.headers.get(_HEADER_LENGTH)
    if text is None:
        return request.body, memoryview(b"")
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= len(request.body)):
        raise RequestError(400, f"{_HEADER_LENGTH}: expected a number up to {len(request.body)}, the size of the body")
    length = int(text)
    return request.body[:length], memoryview(request.body)[length:]


def _read_inputs(document: dict[str, object], binary: memoryview) -> list[Tensor]:
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(entry, dict) for entry in inputs):
        raise RequestError(400, "inputs: expected a list of tensors")
    position, tensors = 0, []
    for entry in inputs:
        name = entry.get("name")
        if not isinstance(name, str):
            raise RequestError(400, "inputs: a tensor has a name, a string")
        datatype, shape = check_datatype(name, entry.get("datatype")), check_shape(name, entry.get("shape"))
        parameters = _parameters(f"input {name!r}", entry)
        if "binary_data_size" not in parameters:
            is_base64 = parameters.get("content_type") == "base64"
            tensors.append(from_values(name, datatype, shape, entry.get("data"), is_base64=is_base64))
            continue
        size = parameters["binary_data_size"]
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(binary) - position:
            raise RequestError(
                400,
                f"input {name!r}: binary_data_size {size!r}, {len(binary) - position} bytes are left behind the "
                f"JSON, whose length the header {_HEADER_LENGTH} gives",
            )
        tensors.append(from_raw(name, datatype, shape, bytes(binary[position : position + size])))
        position += size
    if position != len(binary):
        raise RequestError(400, f"{len(binary) - position} bytes behind the JSON belong to no input")
    return tensors


def _read_outputs(document: dict[str, object]) -> _Wanted:
    otherwise = _parameters("the request", document).get("binary_data_output", False)
    outputs = document.get("outputs", [])
    if not isinstance(outputs, list) or not isinstance(otherwise, bool):
        raise RequestError(400, "outputs: expected a list; binary_data_output: true or false")
    binary: dict[str, bool] = {}
    for entry in outputs:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise RequestError(400, "outputs: expected objects with a name, a string")
        chosen = _parameters(f"output {entry['name']!r}", entry).get("binary_data", otherwise)
        if not isinstance(chosen, bool):
            raise RequestError(400, f"output {entry['name']!r}: binary_data is true or false")
        binary[entry["name"]] = chosen
    return _Wanted(binary, otherwise)


def _parameters(where: str, entry: dict[str, object]) -> dict[str, object]:
    parameters = entry.get("parameters", {})
    if not isinstance(parameters, dict):
        raise RequestError(400, f"{where}: parameters is an object")
    for name in _UNSUPPORTED:
        if name in parameters:
            raise RequestError(400, f"{where}: this server does not support the parameter {name!r}")
    return parameters


def _values(tensor: Tensor) -> dict[str, object]:
    """`data` for JSON; BYTES that are not UTF-8 come as base64 and say so, as MLServer's clients read it."""
    try:
        return {"data": tensor.values()}
    except UnicodeDecodeError:
        encoded = [base64.b64encode(element).decode() for element in tensor.elements]
        return {"parameters": {"content_type": "base64"}, "data": encoded}
    except ValueError as error:
        raise RequestError(500, f"output {tensor.name!r}: {error}; ask for binary data") from None

"""Open Inference Protocol v2 over gRPC: `inference.GRPCInferenceService`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError

from chassis.declaration.tensor import BYTES
from chassis.runtime import inference_pb2 as messages
from chassis.runtime.core.caller import Caller
from chassis.runtime.core.contract import Part
from chassis.runtime.core.request_error import BusyError, RequestError
from chassis.runtime.core.service import ModelState
from chassis.runtime.inference.exchange import (
    CLASSIFICATION,
    EXTENSIONS,
    PLATFORM,
    TensorMetadata,
    answered,
    check_outputs,
    check_parameters,
    class_count,
    inputs_metadata,
    items,
    outputs,
    outputs_metadata,
    parameters_of,
    streamed,
)
from chassis.runtime.inference.extensions import UNSERVED_METHODS, Extensions
from chassis.runtime.inference.tensor import Tensor, check_datatype, check_shape, from_base64, from_numbers, from_raw
from chassis.runtime.rpc.call import Call, CallError
from chassis.runtime.rpc.server import Message, Streaming, Unary
from chassis.runtime.version import VERSION

PROTOCOL = "v2-grpc"
SERVICE = "inference.GRPCInferenceService"

_FINAL = "triton_final_response"
_TELLS_FINAL = "triton_enable_empty_final_response"
_OF_THE_PROTOCOL = ("binary_data_output", _TELLS_FINAL)
_AnyMessage = TypeVar("_AnyMessage", bound=Message)

_FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}

# https://google.aip.dev/193 and grpc's own mapping, the other way round.
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


class InferenceService:
    """Answers the protocol's calls from a model service."""

    def __init__(self, extensions: Extensions) -> None:
        """Takes the model, with what extensions say of it."""
        self._model = extensions.model
        self._identity = extensions.identity
        self._extensions = extensions

    def methods(self) -> dict[str, Unary | Streaming]:
        """The service's methods, by name."""
        return {
            **{name: Unary(bytes, _unserved(reason)) for name, reason in UNSERVED_METHODS.items()},
            "ModelStreamInfer": Streaming(self.model_stream_infer),
            "ModelConfig": Unary(messages.ModelConfigRequest.FromString, self.model_config),
            "ModelStatistics": Unary(messages.ModelStatisticsRequest.FromString, self.model_statistics),
            "RepositoryIndex": Unary(messages.RepositoryIndexRequest.FromString, self.repository_index),
            "ServerLive": Unary(messages.ServerLiveRequest.FromString, self.server_live),
            "ServerReady": Unary(messages.ServerReadyRequest.FromString, self.server_ready),
            "ModelReady": Unary(messages.ModelReadyRequest.FromString, self.model_ready),
            "ServerMetadata": Unary(messages.ServerMetadataRequest.FromString, self.server_metadata),
            "ModelMetadata": Unary(messages.ModelMetadataRequest.FromString, self.model_metadata),
            "ModelInfer": Unary(
                messages.ModelInferRequest.FromString,
                self.model_infer,
                PROTOCOL,
                messages.ModelInferRequest.DESCRIPTOR,
            ),
        }

    async def server_live(self, request: messages.ServerLiveRequest, call: Call) -> messages.ServerLiveResponse:
        """Whoever answers lives."""
        return messages.ServerLiveResponse(live=True)

    async def server_ready(self, request: messages.ServerReadyRequest, call: Call) -> messages.ServerReadyResponse:
        """Whether the model answers."""
        return messages.ServerReadyResponse(ready=self._model.state is ModelState.READY)

    async def model_ready(self, request: messages.ModelReadyRequest, call: Call) -> messages.ModelReadyResponse:
        """Whether the model answers; of one that is not here the answer is no, as Triton's is."""
        try:
            self._identity.check(request.name, request.version)
        except RequestError:
            return messages.ModelReadyResponse(ready=False)
        return messages.ModelReadyResponse(ready=self._model.state is ModelState.READY)

    async def server_metadata(
        self, request: messages.ServerMetadataRequest, call: Call
    ) -> messages.ServerMetadataResponse:
        """Name, version and extensions."""
        return messages.ServerMetadataResponse(name="chassis", version=VERSION, extensions=EXTENSIONS)

    async def model_metadata(
        self, request: messages.ModelMetadataRequest, call: Call
    ) -> messages.ModelMetadataResponse:
        """The model's inputs and outputs."""
        self._check(request.name, request.version)
        return messages.ModelMetadataResponse(
            name=self._identity.name,
            versions=[self._identity.version],
            platform=PLATFORM,
            inputs=_described(inputs_metadata(self._model.contract)),
            outputs=_described(outputs_metadata(self._model.contract)),
        )

    async def model_config(self, request: messages.ModelConfigRequest, call: Call) -> messages.ModelConfigResponse:
        """The model's configuration."""
        self._check(request.name, request.version)
        return _message({"config": self._extensions.configuration()}, messages.ModelConfigResponse())

    async def model_statistics(
        self, request: messages.ModelStatisticsRequest, call: Call
    ) -> messages.ModelStatisticsResponse:
        """What the model has done."""
        if request.name:
            self._check(request.name, request.version)
        return _message(self._extensions.statistics(), messages.ModelStatisticsResponse())

    async def repository_index(
        self, request: messages.RepositoryIndexRequest, call: Call
    ) -> messages.RepositoryIndexResponse:
        """The one model."""
        return _message({"models": self._extensions.models(ready=request.ready)}, messages.RepositoryIndexResponse())

    async def model_infer(self, request: messages.ModelInferRequest, call: Call) -> messages.ModelInferResponse:
        """Inference.

        Raises:
          CallError: the request, or the model, is at fault.
        """
        started = time.perf_counter()
        code = grpc.StatusCode.CANCELLED
        caller = call.traced(request.id)
        if self._model.contract.takes_request:
            caller = call.telling(self._model.contract, _parameters(request))
        try:
            self._identity.check(request.model_name, request.model_version)
            wanted = _wanted(request, self._model.contract.outputs)
            asked = items(self._model, _inputs(request, call.lifted))
            raw, identifier = bool(request.raw_input_contents), request.id
            del request  # the items are copies
            call.lifted.clear()
            answers = await answered(self._model, asked, caller)
            tensors = outputs(answers, self._model.contract.outputs, wanted)
            self._check_answer(tensors, call.cost)
            given = parameters_of(answers)
            code = grpc.StatusCode.OK
        except RequestError as error:
            code = grpc.StatusCode.RESOURCE_EXHAUSTED if isinstance(error, BusyError) else _CODES[error.status]
            raise CallError(code, str(error)) from None
        except Exception:
            code = grpc.StatusCode.INTERNAL
            raise
        finally:
            self._model.finish_request(PROTOCOL, code.name, started, caller)
        response = messages.ModelInferResponse(
            model_name=self._identity.name, model_version=self._identity.version, id=identifier
        )
        raw = raw or any(tensor.datatype not in _FIELDS for tensor in tensors)
        for tensor in tensors:
            _add(response, tensor, raw)
        _set_parameters(response, given)
        return response

    async def model_stream_infer(self, call: Call) -> None:
        """Inference piece by piece, of one request after another; an error is a message, and ends its request alone."""
        while (content := await call.receive()) is not None:
            call.busy = True
            started = time.perf_counter()
            code = grpc.StatusCode.CANCELLED
            caller = call.traced()
            cost = len(content) * 3
            if not self._model.budget.take(cost):
                await call.send(_stream_error(self._model.budget.busy()))
                continue
            try:
                request = _parse(content)
                caller = call.traced(request.id)
                if self._model.contract.takes_request:
                    caller = call.telling(self._model.contract, _parameters(request))
                await self._stream(request, call, caller)
                code = grpc.StatusCode.OK
            except RequestError as error:
                code = grpc.StatusCode.RESOURCE_EXHAUSTED if isinstance(error, BusyError) else _CODES[error.status]
                await call.send(_stream_error(str(error)))
            finally:
                self._model.budget.give(cost)
                call.busy = False
                self._model.finish_request(PROTOCOL, code.name, started, caller)

    async def _stream(self, request: messages.ModelInferRequest, call: Call, caller: Caller) -> None:
        self._identity.check(request.model_name, request.model_version)
        wanted = _wanted(request, self._model.contract.outputs)
        asked = items(self._model, _inputs(request, {}))
        told = _TELLS_FINAL in request.parameters
        async with contextlib.aclosing(streamed(self._model, asked, caller, wanted)) as pieces:
            async for piece in pieces:
                response = self._response(request, piece.tensors)
                _set_parameters(response, piece.parameters)
                if told:
                    response.parameters[_FINAL].bool_param = False
                await call.send(messages.ModelStreamInferResponse(infer_response=response).SerializeToString())
        if told:
            response = self._response(request, ())
            response.parameters[_FINAL].bool_param = True
            await call.send(messages.ModelStreamInferResponse(infer_response=response).SerializeToString())

    def _response(self, request: messages.ModelInferRequest, tensors: Sequence[Tensor]) -> messages.ModelInferResponse:
        response = messages.ModelInferResponse(
            model_name=self._identity.name, model_version=self._identity.version, id=request.id
        )
        raw = bool(request.raw_input_contents) or any(tensor.datatype not in _FIELDS for tensor in tensors)
        for tensor in tensors:
            _add(response, tensor, raw)
        return response

    def _check_answer(self, tensors: Sequence[Tensor], held: int) -> None:
        """Raises BusyError if the answer's content does not fit the budget without the `held` bytes of its request: the
        message would be a copy of it, and its serialised form another."""
        size, budget = (sum(len(element) for tensor in tensors for element in tensor.elements), self._model.budget)
        if not budget.has(size - held):
            raise BusyError(budget.too_large(size, "the answer") if size > budget.total else budget.busy())

    def _check(self, name: str, version: str) -> None:
        try:
            self._identity.check(name, version)
        except RequestError as error:
            raise CallError(_CODES[error.status], str(error)) from None


def _parse(content: bytes) -> messages.ModelInferRequest:
    try:
        return messages.ModelInferRequest.FromString(content)
    except DecodeError:
        raise RequestError(400, "the message is not a ModelInferRequest") from None


def _parameters(request: messages.ModelInferRequest) -> dict[str, object]:
    """What `request` asks for beside its inputs; what the protocol itself asks with its parameters is left out."""
    found: dict[str, object] = {}
    for name, value in request.parameters.items():
        kind = value.WhichOneof("parameter_choice")
        if kind is not None and name not in _OF_THE_PROTOCOL:
            found[name] = getattr(value, kind)
    return found


def _set_parameters(response: messages.ModelInferResponse, given: Mapping[str, object]) -> None:
    for name, value in given.items():
        if isinstance(value, bool):
            response.parameters[name].bool_param = value
        elif isinstance(value, int):
            field = "int64_param" if value < 1 << 63 else "uint64_param"
            setattr(response.parameters[name], field, value)
        elif isinstance(value, float):
            response.parameters[name].double_param = value
        else:
            response.parameters[name].string_param = str(value)


def _stream_error(message: str) -> bytes:
    return bytes(messages.ModelStreamInferResponse(error_message=message).SerializeToString())


def _unserved(reason: str) -> Callable[[object, Call], Awaitable[Message]]:
    async def refuse(_: object, call: Call) -> Message:
        raise CallError(grpc.StatusCode.UNIMPLEMENTED, reason)

    return refuse


def _message(document: dict[str, object], message: _AnyMessage) -> _AnyMessage:
    from google.protobuf import json_format  # here, since it is seldom asked for

    json_format.ParseDict(document, message)
    return message


def _described(metadata: Sequence[TensorMetadata]) -> list[messages.ModelMetadataResponse.TensorMetadata]:
    return [
        messages.ModelMetadataResponse.TensorMetadata(name=name, datatype=datatype, shape=shape)
        for name, datatype, shape in metadata
    ]


def _wanted(request: messages.ModelInferRequest, declared: Sequence[Part]) -> dict[str, int]:
    """The names of the outputs that `request` asks for, to how many classes, 0 for the tensor as it is.

    Raises:
      RequestError: it, or one of its tensors, asks for something that this server does not do.
    """
    check_parameters("the request", request.parameters)
    for given in request.inputs:
        check_parameters(f"input {given.name!r}", given.parameters)
    check_outputs(output.name for output in request.outputs)
    wanted = {}
    for output in request.outputs:
        check_parameters(f"output {output.name!r}", (name for name in output.parameters if name != CLASSIFICATION))
        wanted[output.name] = 0
        if CLASSIFICATION in output.parameters:
            asked = output.parameters[CLASSIFICATION]
            kind = asked.WhichOneof("parameter_choice")
            wanted[output.name] = class_count(output.name, getattr(asked, kind) if kind else None, declared)
    return wanted


def _inputs(request: messages.ModelInferRequest, lifted: dict[bytes, memoryview]) -> list[Tensor]:
    """The tensors of `request`, whose large contents are in `lifted`, and are taken out of it."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise RequestError(400, f"{len(raw)} raw contents for {len(request.inputs)} inputs, expected one for each")
    tensors = []
    for index, given in enumerate(request.inputs):
        shape = check_shape(given.name, list(given.shape))
        datatype = check_datatype(given.name, given.datatype)
        if raw:
            if given.HasField("contents"):
                raise RequestError(400, f"input {given.name!r} has contents and raw contents")
            content = raw[index]
            tensors.append(from_raw(given.name, datatype, shape, lifted.pop(content, content)))
        else:
            tensors.append(_from_contents(given.name, datatype, shape, given.contents, lifted))
        if "content_type" in given.parameters and given.parameters["content_type"].string_param == "base64":
            tensors[-1] = from_base64(tensors[-1])
    return tensors


def _from_contents(
    name: str,
    datatype: str,
    shape: tuple[int, ...],
    contents: messages.InferTensorContents,
    lifted: dict[bytes, memoryview],
) -> Tensor:
    field = _FIELDS.get(datatype)
    if field is None:
        raise RequestError(400, f"input {name!r}: {datatype} comes in raw_input_contents alone")
    others = [found.name for found, _ in contents.ListFields() if found.name != field]
    if others:
        raise RequestError(400, f"input {name!r}: {datatype} comes in {field}, not in {others[0]}")
    values = getattr(contents, field)
    count = 1
    for size in shape:
        count *= size
    if len(values) != count:
        raise RequestError(400, f"input {name!r}: {len(values)} elements, expected {count} for shape {list(shape)}")
    if datatype == BYTES:
        return Tensor(name, datatype, shape, [bytes(lifted.pop(value, value)) for value in values])
    return from_numbers(name, datatype, shape, values)


def _add(response: messages.ModelInferResponse, tensor: Tensor, raw: bool) -> None:
    output = response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
    if raw:
        response.raw_output_contents.append(tensor.raw())
    else:
        getattr(output.contents, _FIELDS[tensor.datatype]).extend(tensor.numbers())

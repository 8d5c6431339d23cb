"""The Open Model Interface front end: Status, Run and Shutdown over gRPC."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import grpc
from google.protobuf.message import DecodeError

from chassis.errors import ChassisError
from chassis.runtime import omi_pb2
from chassis.runtime.core.answer import Answer, Item
from chassis.runtime.core.batcher import QueueFullError
from chassis.runtime.core.caller import Caller
from chassis.runtime.core.request_error import RequestError
from chassis.runtime.core.service import ModelService, ModelState, StoppingError
from chassis.runtime.rpc.call import Call, CallError
from chassis.runtime.rpc.server import Unary

PROTOCOL = "omi"
SERVICE = "ModzyModel"
"""The service's full name: OMI has no protobuf package."""

_STATUS_CODES = {
    ModelState.LOADING: (503, "Service Unavailable"),
    ModelState.READY: (200, "OK"),
    ModelState.FAILED: (500, "Internal Server Error"),
    ModelState.STUCK: (503, "Service Unavailable"),
    ModelState.LEAVING: (503, "Service Unavailable"),
    ModelState.STOPPING: (503, "Service Unavailable"),
}


class StatusFileError(ChassisError):
    """A status.pb that is missing or not a StatusResponse."""


def read_status(path: str) -> omi_pb2.StatusResponse:
    """Reads the description of the model that the build wrote.

    Raises:
      StatusFileError: it is missing or malformed.
    """
    try:
        with open(path, "rb") as file:
            return omi_pb2.StatusResponse.FromString(file.read())
    except FileNotFoundError:
        raise StatusFileError(f"{path} is not there") from None
    except DecodeError as error:
        raise StatusFileError(f"{path} is not a serialised OMI StatusResponse: {error}") from None


class OmiService:
    """Answers OMI calls from a model service."""

    def __init__(
        self,
        model: ModelService,
        description: omi_pb2.StatusResponse,
        stop: Callable[[str], None],
        shutdown: str,
    ) -> None:
        """Takes the model, its description, what to call, with a reason, when a caller asks the server to stop, and who
        may: `local`, `anyone` or `nobody`."""
        self._shutdown = shutdown
        self._model = model
        self._description = description
        self._stop = stop

    def methods(self) -> dict[str, Unary]:
        """The service's methods, by name."""
        return {
            "Status": Unary(omi_pb2.StatusRequest.FromString, self.status),
            "Run": Unary(omi_pb2.RunRequest.FromString, self.run, PROTOCOL, omi_pb2.RunRequest.DESCRIPTOR),
            "Shutdown": Unary(omi_pb2.ShutdownRequest.FromString, self.shutdown),
        }

    async def status(self, request: omi_pb2.StatusRequest, call: Call) -> omi_pb2.StatusResponse:
        """The description of the model, with 200 if it answers and the reason if it does not."""
        response = omi_pb2.StatusResponse()
        response.CopyFrom(self._description)
        response.status_code, response.status = _STATUS_CODES[self._model.state]
        response.message = self._model.reason or "the model is ready"
        return response

    async def run(self, request: omi_pb2.RunRequest, call: Call) -> omi_pb2.RunResponse:
        """Each item's answer, in order. An item's failure is its own; the response is 200 when all were answered.

        Raises:
          CallError: there are too many items, the queue is full, or the server is stopping.
        """
        started = time.perf_counter()
        code = grpc.StatusCode.CANCELLED
        caller = call.traced()
        if self._model.contract.takes_request:
            caller = call.telling(self._model.contract, {})
        try:
            self._model.check_size(len(request.inputs))
            asked = [_item(item.input, call.lifted) for item in request.inputs]
            notes = _unsupported(request)
            del request  # the items are copies
            call.lifted.clear()
            response = await self._run(asked, notes, caller)
            code = grpc.StatusCode.OK
            return response
        except RequestError as error:
            code = grpc.StatusCode.INVALID_ARGUMENT
            raise CallError(code, str(error)) from None
        except QueueFullError as error:
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            raise CallError(code, str(error)) from None
        except StoppingError as error:
            code = grpc.StatusCode.UNAVAILABLE
            raise CallError(code, str(error)) from None
        except Exception:
            code = grpc.StatusCode.INTERNAL
            raise
        finally:
            self._model.finish_request(PROTOCOL, code.name, started, caller)

    async def _run(self, asked: list[Item], notes: list[str], caller: Caller) -> omi_pb2.RunResponse:
        if not asked:
            return _response(400, "Bad Request", "the request has no inputs")
        answers = await self._model.answer(asked, caller)
        code, status, message = 200, "OK", ""
        if self._model.state is ModelState.FAILED:
            (code, status), message = _STATUS_CODES[ModelState.FAILED], self._model.reason
        if notes:
            message = "; ".join(filter(None, [message, *notes]))
        response = _response(code, status, message)
        for answer in answers:
            _add(response, answer)
        return response

    async def shutdown(self, request: omi_pb2.ShutdownRequest, call: Call) -> omi_pb2.ShutdownResponse:
        """Says yes, then ends the server as SIGTERM does.

        Raises:
          CallError: PERMISSION_DENIED, if the caller may not.
        """
        if self._shutdown == "nobody" or (self._shutdown == "local" and not call.is_local()):
            raise CallError(
                grpc.StatusCode.PERMISSION_DENIED,
                f"CHASSIS_SHUTDOWN={self._shutdown}: this caller may not end the server; anyone may with "
                "CHASSIS_SHUTDOWN=anyone, and SIGTERM always does",
            )
        self._stop("OMI Shutdown")
        return omi_pb2.ShutdownResponse(
            status_code=200, status="OK", message="the server answers what it has accepted, then ends"
        )


def _item(given: Mapping[str, bytes], lifted: dict[bytes, memoryview]) -> Item:
    """A protobuf map as a dict; `dict(given)` would go through Python's own views of it, and take twice as long."""
    if lifted:
        return {name: bytes(lifted.pop(given[name], given[name])) for name in given}
    return {name: given[name] for name in given}


def _response(code: int, status: str, message: str) -> omi_pb2.RunResponse:
    return omi_pb2.RunResponse(status_code=code, status=status, message=message)


def _unsupported(request: omi_pb2.RunRequest) -> list[str]:
    asked = {"detect_drift": request.detect_drift, "explain": request.explain}
    return [f"{name} was asked for, the model does not support it" for name, wanted in asked.items() if wanted]


def _add(response: omi_pb2.RunResponse, answer: Answer) -> None:
    item = response.outputs.add()
    if answer.output is None:
        item.output["error"] = (answer.error or "").encode(errors="replace")
        return
    item.success = True
    for name, content in answer.output.items():
        item.output[name] = content

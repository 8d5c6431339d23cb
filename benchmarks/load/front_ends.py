"""One numbered request through each front end, and what became of it."""

from __future__ import annotations

import asyncio
import enum
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import grpc

from chassis.runtime import inference_pb2, inference_pb2_grpc, omi_pb2, omi_pb2_grpc

LIMIT_S = 30.0
"""Seconds after which a request counts as lost."""


class Outcome(enum.Enum):
    """What became of a request."""

    ANSWERED = "answered"
    FAILED = "failed as it was to"
    LOST_WORKER = "told that the model's process ended"
    REFUSED = "refused, to be sent elsewhere"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome with what tells more: the process that answered, or what was wrong."""

    outcome: Outcome
    process: int = 0
    detail: str = ""


class FrontEnd(Protocol):
    """Sends a request with a number; a `bad` one is to fail."""

    async def ask(self, number: int, *, bad: bool) -> Verdict:
        """Returns what became of it; raises TimeoutError if nothing did."""

    async def close(self) -> None:
        """Ends its connections."""


def content_of(number: int, *, bad: bool) -> str:
    """What the model gets."""
    return json.dumps({"number": number, "bad": bad})


def _judged(result: str | bytes, number: int) -> Verdict:
    try:
        found = json.loads(result)
        if found["number"] == number:
            return Verdict(Outcome.ANSWERED, found["process"])
    except (ValueError, KeyError, TypeError):
        pass
    return Verdict(Outcome.WRONG, detail=f"{number} was answered with {result!r}")


def _failure(text: str, number: int, *, bad: bool, refused: bool) -> Verdict:
    """What an error with `text` means."""
    if refused:
        return Verdict(Outcome.REFUSED)
    if "process ended" in text:
        return Verdict(Outcome.LOST_WORKER)
    if bad and f"ValueError: {number} is bad" in text:
        return Verdict(Outcome.FAILED)
    return Verdict(Outcome.WRONG, detail=f"{number} failed with {text!r}")


class _Grpc:
    def __init__(self, port: int) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)])

    async def close(self) -> None:
        await self._channel.close()

    async def _call(self, call: Awaitable, number: int, judge: Callable[..., Verdict], *, bad: bool) -> Verdict:
        try:
            response = await call
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and "run timeout" not in (error.details() or ""):
                raise TimeoutError(f"{number} was not answered") from None
            refused = error.code() is grpc.StatusCode.UNAVAILABLE and "process ended" not in (error.details() or "")
            return _failure(f"{error.code().name}: {error.details()}", number, bad=bad, refused=refused)
        return judge(response, number, bad=bad)


class Omi(_Grpc):
    """Open Model Interface."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._stub = omi_pb2_grpc.ModzyModelStub(self._channel)

    async def ask(self, number: int, *, bad: bool) -> Verdict:
        item = omi_pb2.InputItem(input={"input": content_of(number, bad=bad).encode()})
        call = self._stub.Run(omi_pb2.RunRequest(inputs=[item]), timeout=LIMIT_S)
        return await self._call(call, number, self._judge, bad=bad)

    @staticmethod
    def _judge(response: omi_pb2.RunResponse, number: int, *, bad: bool) -> Verdict:
        (item,) = response.outputs
        if item.success:
            return _judged(item.output["results.json"], number)
        return _failure(item.output["error"].decode(), number, bad=bad, refused=False)


class V2Grpc(_Grpc):
    """Open Inference Protocol over gRPC."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(port)
        self._name = name
        self._stub = inference_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    async def ask(self, number: int, *, bad: bool) -> Verdict:
        tensor = inference_pb2.ModelInferRequest.InferInputTensor(name="input", datatype="BYTES", shape=[1])
        tensor.contents.bytes_contents.append(content_of(number, bad=bad).encode())
        request = inference_pb2.ModelInferRequest(model_name=self._name, inputs=[tensor])
        return await self._call(self._stub.ModelInfer(request, timeout=LIMIT_S), number, self._judge, bad=bad)

    @staticmethod
    def _judge(response: inference_pb2.ModelInferResponse, number: int, *, bad: bool) -> Verdict:
        return _judged(response.outputs[0].contents.bytes_contents[0], number)


class _Http:
    """One connection that is kept, and opened again when the server closed it."""

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._path = path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _post(self, number: int, body: object, judge: Callable[[dict], str | bytes], *, bad: bool) -> Verdict:
        content = json.dumps(body).encode()
        head = f"POST {self._path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(content)}\r\n\r\n"
        try:
            async with asyncio.timeout(LIMIT_S):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port)
                reader, writer = self._streams
                writer.write(head.encode() + content)
                headers = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = int(headers.partition("content-length: ")[2].partition("\r\n")[0])
                document = json.loads(await reader.readexactly(length))
        except (ConnectionError, asyncio.IncompleteReadError):
            await self.close()
            return Verdict(Outcome.REFUSED)
        if "connection: close" in headers:
            await self.close()
        status = int(headers.split(" ")[1])
        if status == 200:
            return _judged(judge(document), number)
        error = document["error"]
        refused = status == 503 and "process ended" not in error
        return _failure(error, number, bad=bad, refused=refused)


class V2Http(_Http):
    """Open Inference Protocol over HTTP."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(port, f"/v2/models/{name}/infer")

    async def ask(self, number: int, *, bad: bool) -> Verdict:
        tensor = {"name": "input", "datatype": "BYTES", "shape": [1], "data": [content_of(number, bad=bad)]}
        return await self._post(number, {"inputs": [tensor]}, lambda found: found["outputs"][0]["data"][0], bad=bad)


class V1Http(_Http):
    """KServe v1."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__(port, f"/v1/models/{name}:predict")

    async def ask(self, number: int, *, bad: bool) -> Verdict:
        body = {"instances": [content_of(number, bad=bad)]}
        return await self._post(number, body, lambda found: json.dumps(found["predictions"][0]), bad=bad)

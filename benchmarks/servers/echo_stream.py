"""The floors of streams: as many events or messages as the request asks for, made from nothing, on uvloop.

Each is sent in a turn of the loop of its own, as it is where somebody else makes it.

python -m benchmarks.servers.echo_stream sse|grpc PORT
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator

import grpc
import httptools
import uvloop

from chassis.runtime import inference_pb2

_EVENT = b'data: {"model_name":"tested","model_version":"1","results.json":"token"}\n\n'


class _Events(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        count = int(json.loads(self._body)["input"])
        self._body = b""
        self._task = asyncio.get_running_loop().create_task(self._send(count))

    async def _send(self, count: int) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for _ in range(count):
            self._transport.write(b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT))
            await asyncio.sleep(0)
        self._transport.write(b"0\r\n\r\n")


async def _serve_events(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Events, "127.0.0.1", port)
    await server.serve_forever()


async def _stream(requests: AsyncIterator[bytes], _: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
    answer = inference_pb2.ModelStreamInferResponse()
    answer.infer_response.model_name = "tested"
    output = answer.infer_response.outputs.add(name="results.json", datatype="BYTES", shape=[1])
    output.contents.bytes_contents.append(b'"token"')
    message = answer.SerializeToString()
    async for request in requests:
        given = inference_pb2.ModelInferRequest.FromString(request)
        for _ in range(int(given.inputs[0].contents.bytes_contents[0])):
            yield message


async def _serve_messages(port: int) -> None:
    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(_stream)
    name = "inference.GRPCInferenceService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"ModelStreamInfer": handler}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    kind, port = sys.argv[1:]
    uvloop.install()
    asyncio.run((_serve_events if kind == "sse" else _serve_messages)(int(port)))

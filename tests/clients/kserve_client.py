"""Asks a server with KServe's own clients, REST and gRPC; prints what they made of the answers, as JSON.

It takes the ports of HTTP and of gRPC. The model is `doubled` of models.py.
"""

from __future__ import annotations

import asyncio
import json
import sys

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferRequest, RESTConfig
from kserve.protocol.infer_type import InferInput, InferResponse

MODEL = "tested"
ROWS = np.array([[1, 2, 3], [-4, 0.5, 0]], np.float32)


def request(*, binary: bool) -> InferRequest:
    given = InferInput("row", list(ROWS.shape), "FP32")
    given.set_data_from_numpy(ROWS, binary_data=binary)
    return InferRequest(MODEL, [given], request_id="asked-by-kserve")


def shown(response: InferResponse) -> dict[str, object]:
    (output,) = response.outputs
    return {
        "id": response.id,
        "name": output.name,
        "datatype": output.datatype,
        "shape": list(output.shape),
        "values": output.as_numpy().tolist(),
    }


async def over_http(url: str) -> dict[str, object]:
    found: dict[str, object] = {}
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        found["v1 live"] = await client.is_server_live(url)
        found["v1 ready"] = await client.is_model_ready(url, MODEL)
        found["v1"] = await client.infer(url, {"instances": ROWS.tolist()}, MODEL)
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        found["v2 live"] = await client.is_server_live(url)
        found["v2 ready"] = [await client.is_server_ready(url), await client.is_model_ready(url, MODEL)]
        found["v2 JSON"] = shown(await client.infer(url, request(binary=False), MODEL))
        found["v2 binary"] = shown(await client.infer(url, request(binary=True), MODEL))
        try:
            await client.infer(url, request(binary=False), "another")
        except httpx.HTTPStatusError as error:
            found["v2 of another model"] = str(error)
    return found


async def over_grpc(address: str) -> dict[str, object]:
    async with InferenceGRPCClient(address, retries=0) as client:
        found: dict[str, object] = {
            "gRPC live": await client.is_server_live(),
            "gRPC ready": [await client.is_server_ready(), await client.is_model_ready(MODEL)],
            "gRPC": shown(await client.infer(request(binary=True))),
            "gRPC, values": shown(await client.infer(request(binary=False))),
        }
        try:
            await client.infer(InferRequest("another", request(binary=True).inputs))
        except grpc.RpcError as error:
            found["gRPC of another model"] = error.code().name
    return found


async def main(http_port: str, grpc_port: str) -> None:
    found = await over_http(f"http://127.0.0.1:{http_port}") | await over_grpc(f"127.0.0.1:{grpc_port}")
    print(json.dumps(found))


asyncio.run(main(*sys.argv[1:]))

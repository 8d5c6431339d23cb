"""Asks a server with requests that MLServer's codecs made, and has them read the answers; prints what they read.

It takes the ports of the model `doubled` and of the model `echo` of models.py.
"""

from __future__ import annotations

import json
import sys
from urllib.request import Request, urlopen

import numpy as np
from mlserver.codecs import Base64Codec, NumpyCodec, NumpyRequestCodec, PandasCodec, StringCodec, StringRequestCodec
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse, RepositoryIndexResponse

ROWS = np.array([[1, 2, 3], [-4, 0.5, 0]], np.float32)


def ask(port: str, request: InferenceRequest) -> InferenceResponse:
    # What was left out is `null`, as its own clients write it.
    body = request.model_dump_json().encode()
    asked = Request(f"http://127.0.0.1:{port}/v2/models/tested/infer", body, {"Content-Type": "application/json"})
    with urlopen(asked) as answer:
        return InferenceResponse.model_validate_json(answer.read())


def main(doubled: str, echo: str) -> None:
    found: dict[str, object] = {}
    rows = ask(doubled, InferenceRequest(id="asked-by-mlserver", inputs=[NumpyCodec.encode_input("row", ROWS)]))
    found["arrays"] = [rows.id, rows.outputs[0].datatype, NumpyRequestCodec.decode_response(rows).tolist()]
    texts = ask(echo, InferenceRequest(inputs=[StringCodec.encode_input("input", ["zwölf", "", "3"])]))
    found["texts"] = StringRequestCodec.decode_response(texts)
    frame = PandasCodec.decode_response(texts)
    found["a frame"] = {name: frame[name].tolist() for name in frame}
    bytes_of = ask(echo, InferenceRequest(inputs=[Base64Codec.encode_input("input", [b"\xff\x00", b"plain"])]))
    found["bytes"] = [content.hex() for content in Base64Codec.decode_output(bytes_of.outputs[0])]
    with urlopen(f"http://127.0.0.1:{doubled}/v2/models/tested") as answer:
        metadata = MetadataModelResponse.model_validate_json(answer.read())
    found["metadata"] = [metadata.name, [(part.name, part.datatype, part.shape) for part in metadata.inputs or []]]
    index = Request(f"http://127.0.0.1:{doubled}/v2/repository/index", b'{"ready": true}')
    with urlopen(index) as answer:
        found["index"] = [
            (model.name, model.state) for model in RepositoryIndexResponse.model_validate_json(answer.read())
        ]
    print(json.dumps(found))


main(*sys.argv[1:])

"""Writes a classifier of irises as LiteRT's file: one dense layer, by the schema that the wheel brings."""

import sys
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl

WEIGHTS = [[-0.42, 0.97, -2.52, -1.08], [0.53, -0.32, -0.2, -0.94], [-0.11, -0.65, 2.72, 2.02]]
BIAS = [9.84, 2.22, -12.06]


def table(kind: str, **fields: object) -> object:
    made = getattr(tfl, kind + "T")()
    vars(made).update(fields)
    return made


constants = [np.frombuffer(np.array(part, "<f4").tobytes(), np.uint8) for part in (WEIGHTS, BIAS)]
tensors = {"lengths": ([1, 4], 0, [-1, 4]), "w": ([3, 4], 1, None), "b": ([3], 2, None), "scores": ([1, 3], 0, [-1, 3])}
tensors = [table("Tensor", name=n, shape=s, buffer=b, shapeSignature=many) for n, (s, b, many) in tensors.items()]
dense = {"builtinOptionsType": 8, "builtinOptions": table("FullyConnectedOptions")}
graph = table("SubGraph", tensors=tensors, inputs=[0], outputs=[3])
graph.operators = [table("Operator", inputs=[0, 1, 2], outputs=[3], **dense)]
model = table("Model", version=3, subgraphs=[graph], buffers=[table("Buffer", data=one) for one in [None, *constants]])
model.operatorCodes = [table("OperatorCode", builtinCode=9, deprecatedBuiltinCode=9)]  # FULLY_CONNECTED
builder = flatbuffers.Builder()
builder.Finish(model.Pack(builder), b"TFL3")
Path(sys.argv[1]).write_bytes(builder.Output())

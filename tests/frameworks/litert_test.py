"""A file of LiteRT is a model by itself: what it says of itself, and what it answers."""

from __future__ import annotations

import os
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from chassis.packaging.errors import EntryPointError
from chassis.packaging.framework_model import Framework, framework_model
from tests.frameworks.served_file import Serve, infer, inputs, predictions

IRIS = Path(os.environ["IRIS_TFLITE"]).read_bytes()
FLOWERS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
SCORES = [[7.349, 3.335, -10.684], [-5.652, 1.609, 4.043]]


def changed(**fields: object) -> bytes:
    """The file with other fields of its input; `signature` names input and output otherwise."""
    model = schema.ModelT.InitFromPackedBuf(IRIS)
    signature = fields.pop("signature", None)
    vars(model.subgraphs[0].tensors[0]).update(fields)
    if signature is not None:
        made = schema.SignatureDefT()
        made.signatureKey = b"serve"
        made.inputs, made.outputs = [schema.TensorMapT()], [schema.TensorMapT()]
        for part, name, index in ((made.inputs[0], signature[0], 0), (made.outputs[0], signature[1], 3)):
            part.name, part.tensorIndex = name, index
        model.signatureDefs = [made]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("content", "given", "found"),
    [
        (IRIS, "lengths", "scores"),
        # Of a file without a size that varies, each item is a call of its own.
        (changed(shapeSignature=None), "lengths", "scores"),
        (changed(signature=("flower", "species")), "flower", "species"),
    ],
    ids=["batch", "one", "signature"],
)
def test_a_file_says_what_it_takes_and_gives(
    tmp_path: Path, serve: Serve, content: bytes, given: str, found: str
) -> None:
    (tmp_path / "m.tflite").write_bytes(content)
    server = serve("litert", "m.tflite")
    assert inputs(server) == [(given, "FP32", [-1, 4])]
    answered = infer(server, given, "FP64", FLOWERS)
    assert answered.keys() == {found}
    assert answered[found] == pytest.approx(np.ravel(SCORES), abs=1e-4)
    assert predictions(server, {given: FLOWERS[1]})[0] == pytest.approx(SCORES[1], abs=1e-4)


def test_columns_are_the_one_input(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "m.tflite").write_bytes(IRIS)
    columns = {name: "FP32" for name in "abcd"}
    server = serve("litert", "m.tflite", columns=columns, environment={"OMP_NUM_THREADS": "2,1"})
    rows = [dict(zip("abcd", flower, strict=True)) for flower in FLOWERS]
    assert predictions(server, *rows) == [pytest.approx(row, abs=1e-4) for row in SCORES]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no", "framework 'litert', m.tflite: "),
        (
            changed(shape=[4, 1], shapeSignature=[4, 1]),
            r"'lengths' is float32 \[4, 1\]: its first axis has to count items",
        ),
    ],
)
def test_a_file_that_cannot_be_served_is_an_error_of_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    (tmp_path / "m.tflite").write_bytes(content)
    monkeypatch.setenv("CHASSIS_DATA", str(tmp_path))
    with pytest.raises(EntryPointError, match=message):
        framework_model(Framework("litert", "m.tflite", (), (), ("results.json",)))

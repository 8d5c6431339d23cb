"""A typed model gets the same call, whatever protocol an input comes over and whatever comes beside it."""

from __future__ import annotations

import contextlib
import io
import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pytest
import tritonclient.grpc
from grpc import RpcError, insecure_channel
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from tests.support.http_client import HttpAnswer, call
from tests.support.running_server import RunningServer
from tests.typed_inputs.models import MODELS, write

Start = Callable[[str], RunningServer]

ROW = {"amount": 1.5, "city": "Bern", "n": 3}
MISSING = {"amount": None, "city": None, "n": 4}
# The second is of pandas 3; before, a column of text is of objects.
TYPES = ("float64, str, int64", "float64, object, int64")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    with contextlib.ExitStack() as stack:
        running: dict[str, RunningServer] = {}

        def started(name: str) -> RunningServer:
            if name not in running:
                model = write(tmp_path_factory.mktemp(name), MODELS[name])
                running[name] = stack.enter_context(RunningServer(model))
                running[name].wait_health("SERVING")
            return running[name]

        yield started


def tensor(name: str, datatype: str, shape: Sequence[int], data: object, **parameters: object) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data, "parameters": parameters}


def v1(server: RunningServer, *instances: object) -> list[object]:
    return answered(call(server.http_port, "POST", "/v1/models/m:predict", {"instances": list(instances)}))[
        "predictions"
    ]


def v2(server: RunningServer, *inputs: dict[str, object], **fields: object) -> dict[str, object]:
    """The data of each output."""
    found = answered(call(server.http_port, "POST", "/v2/models/m/infer", {"inputs": inputs, **fields}))
    return {output["name"]: output["data"] for output in found["outputs"]}


def results(server: RunningServer, *inputs: dict[str, object], **fields: object) -> list[object]:
    return [json.loads(text) for text in v2(server, *inputs, **fields)["results.json"]]  # type: ignore[union-attr]


def omi(server: RunningServer, *contents: object) -> list[object]:
    """Each item's result, or the text of its error."""
    sent = [content if isinstance(content, bytes) else json.dumps(content).encode() for content in contents]
    return [
        json.loads(item.output["results.json"]) if item.success else item.output["error"].decode()
        for item in server.run(*sent).outputs
    ]


def grpc(server: RunningServer, arrays: Mapping[str, np.ndarray], output: str) -> np.ndarray:
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        inputs = []
        for name, array in arrays.items():
            inputs.append(tritonclient.grpc.InferInput(name, array.shape, np_to_triton_dtype(array.dtype)))
            inputs[-1].set_data_from_numpy(array)
        return client.infer("m", inputs).as_numpy(output)


def answered(answer: HttpAnswer) -> dict:
    assert answer.status == 200, answer.body
    return answer.json()


def refused(server: RunningServer, path: str, body: object) -> str:
    answer = call(server.http_port, "POST", f"/{path}", body)
    assert answer.status == 400, answer.body
    return answer.json()["error"]


def test_a_row_is_the_same_frame_over_every_protocol(start: Start) -> None:
    server = start("table")
    found = [
        *v1(server, ROW, [1.5, "Bern", 3]),
        *omi(server, ROW),
        *results(
            server,
            tensor("amount", "FP64", [1], [1.5]),
            tensor("city", "BYTES", [1], ["Bern"], content_type="str"),
            tensor("n", "INT64", [1, 1], [3]),
            parameters={"content_type": "pd"},
        ),
        *results(server, tensor("input", "BYTES", [1], [json.dumps(ROW)])),
        answered(call(server.http_port, "POST", "/v2/models/m/generate", {"input": ROW}))["results.json"],
        json.loads(
            grpc(
                server,
                {"amount": np.array([1.5]), "city": np.array([b"Bern"], object), "n": np.array([3])},
                "results.json",
            )[0]
        ),
    ]
    assert found[0]["types"] in TYPES
    assert found == [{"types": found[0]["types"], "double": 3.0, "city": "BERN", "n": 4}] * 7


def test_what_is_missing_makes_no_other_column_of_it(start: Start) -> None:
    server = start("table")
    (alone,) = v1(server, MISSING)
    beside = v1(server, ROW, MISSING, ROW)
    assert alone == beside[1] == omi(server, MISSING)[0]
    assert {row["types"] for row in (alone, *beside)} <= set(TYPES)
    assert alone["double"] is None
    assert alone["city"] is None
    columns = [
        tensor("amount", "FP64", [2], [None, 1.5]),
        tensor("city", "BYTES", [2], [None, "Bern"]),
        tensor("n", "INT64", [2], [4, 3]),
    ]
    assert results(server, *columns) == [alone, beside[0]]
    assert (
        json.loads(
            grpc(
                server,
                {"amount": np.array([np.nan]), "n": np.array([4])},
                "results.json",
            )[0]
        )
        == alone
    )


def test_numbers_without_names_are_rows(start: Start) -> None:
    """As clients of numbers alone send them, whatever the type of a column is."""
    server = start("numbers")
    rows = [[1, 2, 3, 4], [5, 6, 7, 8]]
    wanted = [["float64 float32 int64", 10.0], ["float64 float32 int64", 26.0]]
    assert results(server, tensor("input", "FP32", [1, 4], rows[:1])) == wanted[:1]
    assert results(server, tensor("input", "INT64", [2, 4], rows, content_type="np")) == wanted
    assert v1(server, *rows) == wanted
    for kind in (np.float32, np.float64, np.int32):
        found = grpc(server, {"input": np.array(rows, kind)}, "results.json")
        assert [json.loads(text) for text in found] == wanted
    half = {"inputs": [tensor("input", "FP32", [1, 4], [1, 2, 3, 4.5])]}
    assert "column 'd': 4.5 is not an integer (INT64)" in refused(server, "v2/models/m/infer", half)
    three = {"inputs": [tensor("input", "FP32", [1, 3], [1, 2, 3])]}
    assert "the row has 3 values for 4 columns" in refused(server, "v2/models/m/infer", three)


def test_a_bad_row_is_an_error_of_its_own_that_names_the_column(start: Start) -> None:
    server = start("table")
    bad = {
        json.dumps({"amount": "x", "city": "a", "n": 1}): "column 'amount': 'x' is not a number",
        json.dumps({"amount": 1, "city": 2, "n": 1}): "column 'city': 2 is not text",
        json.dumps({"amount": 1, "city": "a", "n": 1.5}): "column 'n': 1.5 is not an integer (INT64)",
        json.dumps({"amount": 1, "city": "a", "n": True}): "column 'n': True is not an integer (INT64)",
        json.dumps({"amount": 1, "city": "a", "n": 1 << 63}): "is not in the range of INT64",
        json.dumps({"amount": 1, "city": "a", "n": None}): "column 'n' may not be null",
        json.dumps({"amount": 1}): "column 'n' is missing",
        json.dumps({**ROW, "nn": 1}): "there is no column 'nn', the model has amount, city, n",
        "[1, 2]": "the row has 2 values for 3 columns: amount, city, n",
        '"a"': "'a' is not a row",
        "{": "the input is not JSON",
        '{"n": NaN}': "it has no NaN",
    }
    found = omi(server, ROW, *(text.encode() for text in bad), ROW)
    assert found[0] == found[-1]
    assert found[0]["n"] == 4
    for text, (content, message) in zip(found[1:-1], bad.items(), strict=True):
        assert isinstance(text, str), content
        assert message in text
    instances = {"instances": [ROW, {**ROW, "amount": "x"}]}
    assert refused(server, "v1/models/m:predict", instances).startswith("item 1: column 'amount'")
    inputs = {"inputs": [tensor("amount", "FP64", [1], [1.5]), tensor("m", "INT64", [1], [3])]}
    assert "there is no column 'm'" in refused(server, "v2/models/m/infer", inputs)
    inputs = {"inputs": [tensor("x", "FP64", [1], [1.5])]}
    assert "there is no input 'x', the model has 'input', or its columns" in refused(
        server, "v2/models/m/infer", inputs
    )
    inputs = {"inputs": [tensor("n", "INT64", [1], [None])]}
    assert "element 0 is not of INT64" in refused(server, "v2/models/m/infer", inputs)


def test_what_the_function_raises_of_a_batch_is_of_its_own_row(start: Start) -> None:
    server = start("table")
    good, raised, other = omi(server, ROW, {**ROW, "n": -1}, ROW)
    assert good == other
    assert raised == "ValueError: a negative n"


def test_a_row_is_the_dataclass_that_the_function_takes(start: Start) -> None:
    server = start("rows")
    assert v1(server, {"grams": 3, "country": None}, [4, "CH", True]) == ["Parcel 3 None False", "Parcel 4 CH True"]
    assert "column 'express' may not be null" in refused(
        server, "v1/models/m:predict", {"instances": [[4, "CH", None]]}
    )
    assert results(server, tensor("grams", "INT64", [1], [3]), tensor("country", "BYTES", [1], ["CH"])) == [
        "Parcel 3 CH False"
    ]


def test_a_row_that_no_dataclass_can_be_is_refused_over_every_protocol(start: Start) -> None:
    server = start("rows")
    bad = {"grams: -1": (-1, "CH"), "half of a surrogate pair": (1, "\ud800")}
    for message, (grams, country) in bad.items():
        row = {"grams": grams, "country": country}
        good, refusal = omi(server, {"grams": 1, "country": "CH"}, row)
        assert good == "Parcel 1 CH False"
        assert message in str(refusal)
        assert message in refused(server, "v1/models/m:predict", {"instances": [row]})
        inputs = {"inputs": [tensor("grams", "INT64", [1], [grams]), tensor("country", "BYTES", [1], [country])]}
        refused(server, "v2/models/m/infer", inputs)


def test_an_array_is_of_the_declared_type_whatever_a_caller_sends(start: Start) -> None:
    server = start("array")
    rows = np.array([[1, 2, 3], [4, 5, 6]])
    assert v1(server, [1, 2, 3], [4, 5]) == [6.0, 9.0]
    assert v2(server, tensor("x", "FP32", [2, 3], rows.tolist())) == {"total": [6.0, 15.0]}
    assert v2(server, tensor("x", "INT64", [2, 3], rows.tolist())) == {"total": [6.0, 15.0]}
    for kind in (np.float32, np.float64, np.int16, np.uint8):
        assert grpc(server, {"x": rows.astype(kind)}, "total").tolist() == [6.0, 15.0]
    buffer = io.BytesIO()
    np.save(buffer, rows[0].astype("<f8"))
    raw = rows[0].astype("<f4").tobytes()
    for content in (b"[1, 2, 3]", raw, buffer.getvalue()):
        (item,) = server.run({"x": content}).outputs
        assert np.frombuffer(item.output["total"], "<f8").tolist() == [6.0], item.output
    messages = {
        b"[[1]]": "input 'x' has shape [1, 1], expected FP32[-1]",
        b"[1, [2]]": "differ in length",
        b'["a"]': "expected numbers in lists",
        b"[1e39]": "input 'x'[0]: 1e+39 is not of FP32",
        b"abcde": "input 'x' has 5 bytes, which are not FP32[-1]",
        b"\x93NUMPY\x01\x00v": "ends within its header",
    }
    found = server.run({"x": raw}, *({"x": content} for content in messages)).outputs
    assert found[0].success
    for item, message in zip(found[1:], messages.values(), strict=True):
        assert message in item.output["error"].decode()


def test_arrays_of_several_inputs_are_joined_by_their_shapes(start: Start) -> None:
    server = start("arrays")
    instances = [{"ids": [1, 2], "scale": 2}, {"ids": [1, 2, 3], "scale": 0.5}, {"ids": [5, 5], "scale": 1}]
    found = v1(server, *instances)
    assert found == [
        {"sum": 3, "scaled": [2.0, 4.0]},
        {"sum": 6, "scaled": [0.5, 1.0, 1.5]},
        {"sum": 10, "scaled": [5.0, 5.0]},
    ]
    assert v2(server, tensor("ids", "INT64", [2, 2], [1, 2, 5, 5]), tensor("scale", "FP32", [2], [2, 1])) == {
        "sum": [3, 10],
        "scaled": [2.0, 4.0, 5.0, 5.0],
    }
    (item,) = server.run({"ids": b"[1]"}).outputs
    assert "there is no input 'scale'" in item.output["error"].decode()


def test_a_text_is_a_text(start: Start) -> None:
    server = start("text")
    wanted = {"upper": "ÄH"}
    assert v1(server, "äh", {"b64": "w6Ro"}) == [wanted, wanted]
    assert results(server, tensor("input", "BYTES", [1], ["w6Ro"], content_type="base64")) == [wanted]
    assert results(server, tensor("input", "BYTES", [1], ["äh"], content_type="str")) == [wanted]
    assert omi(server, "äh".encode(), b"\xff") == [wanted, "the input is not UTF-8: byte 0"]
    numbers = {"inputs": [tensor("input", "FP32", [1], [1])]}
    assert "is of BYTES, not FP32" in refused(server, "v2/models/m/infer", numbers)


def base64_over_grpc(server: RunningServer, text: bytes, *, raw: bool) -> str:
    """The result of an input whose content type is base64, or why it was refused."""
    service = tritonclient.grpc.service_pb2
    given = service.ModelInferRequest.InferInputTensor(name="input", datatype="BYTES", shape=[1])
    given.parameters["content_type"].string_param = "base64"
    request = service.ModelInferRequest(model_name="m", inputs=[given])
    if raw:
        request.raw_input_contents.append(struct.pack("<I", len(text)) + text)
    else:
        request.inputs[0].contents.bytes_contents.append(text)
    with insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = tritonclient.grpc.service_pb2_grpc.GRPCInferenceServiceStub(channel)
        try:
            answer = stub.ModelInfer(request)
        except RpcError as error:
            return error.details()
    (content,) = answer.raw_output_contents or answer.outputs[0].contents.bytes_contents
    return content[content.index(b"{") :].decode()


def test_base64_is_decoded_over_every_protocol_of_v2(start: Start) -> None:
    server = start("text")
    wanted = '{"upper":"ÄH"}'
    for raw in (True, False):
        assert base64_over_grpc(server, b"w6Ro", raw=raw) == wanted
        assert "input 'input': element 0 is not base64" in base64_over_grpc(server, b"w6R", raw=raw)
    document = {"inputs": [{"name": "input", "datatype": "BYTES", "shape": [1]}]}
    document["inputs"][0]["parameters"] = {"content_type": "base64", "binary_data_size": 8}
    head = json.dumps(document).encode()
    answer = call(
        server.http_port,
        "POST",
        "/v2/models/m/infer",
        head + struct.pack("<I", 4) + b"w6Ro",
        headers={"Inference-Header-Content-Length": str(len(head))},
    )
    assert answered(answer)["outputs"][0]["data"] == [wanted]


def test_a_dict_of_declared_columns_is_a_checked_row(start: Start) -> None:
    server = start("json")
    assert v1(server, {"amount": 1, "city": "Bern"}, {"city": "Chur"}) == [[1.0, "Bern"], [None, "Chur"]]
    assert omi(server, {"amount": 1})[0] == "column 'city' is missing"


def test_metadata_shows_the_columns(start: Start) -> None:
    server = start("table")
    shown = answered(call(server.http_port, "GET", "/v2/models/m"))
    assert [(one["name"], one["datatype"], one["shape"], one["parameters"]) for one in shown["inputs"]] == [
        ("amount", "FP64", [-1], {"type": "FP64?"}),
        ("city", "BYTES", [-1], {"type": "TEXT?"}),
        ("n", "INT64", [-1], {"type": "INT64"}),
    ]
    (described,) = server.status().inputs
    assert (described.filename, described.accepted_media_types) == ("input", ["application/json"])
    assert described.description == "a row: amount FP64?, city TEXT?, n INT64"
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        assert [one.name for one in client.get_model_metadata("m").inputs] == ["amount", "city", "n"]
        with pytest.raises(InferenceServerException, match="there is no column 'q'"):
            grpc(server, {"amount": np.array([1.0]), "q": np.array([1.0])}, "results.json")


@pytest.mark.parametrize("name", MODELS)
def test_the_examples_of_the_description_are_answered(start: Start, name: str) -> None:
    server = start(name)
    described = answered(call(server.http_port, "GET", "/openapi.json"))["components"]["schemas"]
    for schema, path in (
        ("PredictRequest", "v1/models/m:predict"),
        ("InferRequest", "v2/models/m/infer"),
        ("GenerateRequest", "v2/models/m/generate"),
    ):
        (example,) = described[schema]["examples"]
        answered(call(server.http_port, "POST", f"/{path}", example))


def test_the_description_has_the_types_of_columns(start: Start) -> None:
    described = answered(call(start("table").http_port, "GET", "/openapi.json"))["components"]["schemas"]
    row = described["PredictRequest"]["properties"]["instances"]["items"]["anyOf"][0]
    assert row["properties"] == {
        "amount": {"type": ["number", "null"]},
        "city": {"type": ["string", "null"]},
        "n": {"type": "integer"},
    }
    assert row["required"] == ["n"]

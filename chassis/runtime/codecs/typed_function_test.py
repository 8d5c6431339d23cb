"""A typed function without a server: how items are joined, and results taken apart."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chassis.call import Request, Result
from chassis.declaration.columns import Columns
from chassis.declaration.model_io import ModelInput, ModelOutput
from chassis.runtime.codecs import npy
from chassis.runtime.codecs.arrays import ArrayReader
from chassis.runtime.codecs.input_error import InputError
from chassis.runtime.codecs.typed_function import TypedFunction
from chassis.runtime.core.answer import Answer, ErrorKind
from chassis.runtime.core.contract import Contract
from chassis.runtime.core.loader import RecordFunction
from chassis.runtime.core.predict import ModelContractError, PredictFunction


def typed(
    function: Callable[..., object],
    signature: str,
    batch_size: int = 8,
    *,
    tensor: str = "",
    outputs: tuple[ModelOutput, ...] = (ModelOutput("results.json", "application/json"),),
    columns: dict[str, str] | None = None,
    takes_request: bool = False,
) -> TypedFunction:
    contract = Contract(
        (ModelInput("x", tensor=tensor),),
        outputs,
        signature=signature,
        columns=Columns().accept("columns", columns or {}),  # type: ignore[arg-type]
        takes_request=takes_request,
    )
    return TypedFunction(PredictFunction(function, signature, batch_size, contract))


def asked(function: TypedFunction, *values: object, requests: tuple[Request, ...] = ()) -> list[Answer]:
    return function([{"x": json.dumps(value).encode()} for value in values], requests)


def results(answers: list[Answer]) -> list[Any]:
    return [json.loads(answer.output["results.json"]) if answer.output else answer.error for answer in answers]


def test_arrays_of_one_shape_are_one_call_and_a_bad_one_is_in_none() -> None:
    shapes = []

    def total(rows: np.ndarray) -> np.ndarray:
        shapes.append(rows.shape)
        return rows.sum(axis=1)

    function = typed(total, "array", tensor="FP32[-1]")
    answers = asked(function, [1, 2], [1], [3, 4], "x", [5])
    assert results(answers) == [3, 1, 7, "input 'x' has 3 bytes, which are not FP32[-1]", 5]
    assert answers[3].kind is ErrorKind.INPUT
    assert shapes == [(2, 2), (2, 1)]


def test_a_function_of_bad_items_alone_is_not_called() -> None:
    function = typed(lambda frame: 1 / 0, "table", columns={"a": "FP64"})
    assert results(asked(function, {"a": "x"})) == ["column 'a': 'x' is not a number"]


@pytest.mark.parametrize(
    "result",
    [
        [1, 2],
        (1, 2),
        np.array([1, 2]),
        pd.Series([1, 2], index=[7, 9]),
    ],
)
def test_what_is_one_result_for_each_row(result: object) -> None:
    function = typed(lambda frame: result, "table", columns={"a": "FP64"})
    assert results(asked(function, [0], [0])) == [1, 2]


def test_a_frame_and_a_mapping_are_results_by_name() -> None:
    wanted = [{"a": 1.0, "b": "x"}, {"a": None, "b": "y"}]
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": ["x", "y"]})
    assert results(asked(typed(lambda _: frame, "table", columns={"a": "FP64"}), [0], [0])) == wanted
    mapping = {"a": np.array([1, 2]), "b": ["x", "y"]}
    assert results(asked(typed(lambda _: mapping, "table", columns={"a": "FP64"}), [0], [0])) == [
        {"a": 1, "b": "x"},
        {"a": 2, "b": "y"},
    ]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ([1], "a list of 1 for 2 inputs"),
        (np.array(1), "a ndarray for 2 inputs"),
        ("ab", "a str of 2 for 2 inputs"),
        ({"a": [1, 2], "b": [1]}, "a dict of 2 for 2 inputs"),
        ({}, "a dict of 0 for 2 inputs"),
        (None, "a NoneType for 2 inputs"),
        (pd.DataFrame({"a": [1]}), "a DataFrame of 1 for 2 inputs"),
    ],
)
def test_another_number_of_results_breaks_the_contract(result: object, message: str) -> None:
    function = typed(lambda frame: result, "table", columns={"a": "FP64"})
    with pytest.raises(ModelContractError, match=message):
        asked(function, [0], [0])


def test_parameters_of_all_results_and_of_one() -> None:
    function = typed(lambda texts: Result([Result("a", {"n": 1}), "b"], {"n": 2, "m": 3}), "text")
    assert [answer.parameters for answer in asked(function, "x", "y")] == [{"n": 1, "m": 3}, {"n": 2, "m": 3}]


def test_requests_go_with_their_items() -> None:
    def told(texts: list[str], requests: list[Request]) -> list[object]:
        return [f"{text} {request.id}" for text, request in zip(texts, requests, strict=True)]

    function = typed(told, "text", takes_request=True)
    items = [{"x": b"a"}, {"x": b"\xff"}, {"x": b"c"}]
    answers = function(items, [Request(name) for name in ("1", "2", "3")])
    assert results(answers) == ["a 1", "the input is not UTF-8: byte 0", "c 3"]
    single = typed(lambda text, request: [text, request.id], "text", 0, takes_request=True)
    assert results(single([{"x": b"a"}], [Request("1")])) == [["a", "1"]]
    rows = typed(lambda frame, request: [request.id], "table", 0, columns={"a": "FP64"}, takes_request=True)
    assert results(rows([{"x": b"[1]"}], [Request("1")])) == ["1"]


def test_a_generator_streams() -> None:
    def letters(text: str) -> Iterator[str]:
        yield from text

    function = typed(letters, "text", 0)
    assert results(list(function.stream({"x": b"ab"}))) == ["a", "b"]
    assert results(function([{"x": b"ab"}])) == [["a", "b"]]
    (refused,) = function.stream({"x": b"\xff"})
    assert refused.kind is ErrorKind.INPUT


@pytest.mark.parametrize(
    ("tensor", "result", "wanted"),
    [
        ("FP32[2]", np.array([1.5, 2.5]), np.array([1.5, 2.5], "<f4")),
        ("FP32[2]", [1.5, 2.5], np.array([1.5, 2.5], "<f4")),
        ("INT64[]", np.int32(3), np.array(3, "<i8")),
        ("INT64[]", 3, np.array(3, "<i8")),
        ("INT64[]", 3.0, None),
        ("INT64[]", np.float64(3), np.array(3, "<i8")),
        ("INT64[]", np.float64(3.5), None),
        ("FP32[2]", [1.5], None),
        ("FP32[-1,2]", [[1.5, 2], [3]], None),
        ("FP32[-1,2]", [[1, 2], [3, 4]], np.array([[1, 2], [3, 4]], "<f4")),
        ("FP32[2]", ["a", "b"], None),
        ("BOOL[]", np.bool_(True), np.array(True)),
    ],
)
def test_an_output_that_is_a_tensor_has_its_elements(tensor: str, result: object, wanted: Any) -> None:
    function = typed(lambda text: result, "text", 0, outputs=(ModelOutput("y", tensor=tensor),))
    (answer,) = asked(function, "")
    if wanted is None:
        assert answer.kind is ErrorKind.CONTRACT
        assert "the model's result cannot be sent: " in str(answer.error)
    else:
        assert answer.output == {"y": wanted.tobytes()}


def test_outputs_are_of_their_media_types() -> None:
    parts = (ModelOutput("a", "application/json"), ModelOutput("b", "text/plain"), ModelOutput("c"))
    function = typed(lambda text: {"a": text, "b": text, "c": b"\x00"}, "text", 0, outputs=parts)
    (answer,) = function([{"x": b"t"}])
    assert answer.output == {"a": b'"t"', "b": b"t", "c": b"\x00"}
    for result, message in ((1, "expected a mapping of the outputs 'a', 'b', 'c'"), ({"a": 1}, "it has no output 'b'")):
        (answer,) = typed(lambda text, found=result: found, "text", 0, outputs=parts)([{"x": b"t"}])
        assert message in str(answer.error)


def test_numbers_that_no_column_and_no_tensor_holds_are_refused() -> None:
    columns = {"f": "FP64", "s": "FP32", "n": "INT64?", "u": "UINT8", "b": "BOOL", "t": "TIMESTAMP"}
    good = {"f": 1, "s": 1, "n": 1, "u": 1, "b": True, "t": "2024-05-01"}
    function = typed(lambda frame: [0] * len(frame), "table", columns=columns)
    bad: dict[str, Any] = {"f": 10**400, "s": 1e39, "n": (1 << 53) + 1, "u": 256, "b": 2, "t": "tomorrow"}
    for name, value in bad.items():
        (answer,) = asked(function, {**good, name: value})
        assert str(answer.error).startswith(f"column '{name}': ")
    assert results(asked(function, good)) == [0]
    (answer,) = function([{"x": json.dumps(good).replace('"f": 1', '"f": 1e400').encode()}])
    assert str(answer.error) == "column 'f': inf is not a finite number"
    (answer,) = function([{"x": json.dumps(good).replace('"n": 1', '"n": 1e400').encode()}])
    assert str(answer.error) == "column 'n': inf is not an integer (INT64)"
    array = typed(lambda rows: [0] * len(rows), "array", tensor="FP32[1]")
    (answer,) = array([{"x": b"[1e400]"}])
    assert "not finite" in str(answer.error)


def test_whatever_bytes_are_said_to_be_an_array_are_one_or_refused() -> None:
    """Cut, and with bytes changed by chance, after a header that is well."""
    chance = random.Random(1)
    reader = ArrayReader(ModelInput("x", tensor="FP32[-1]"))
    whole = npy.header("FP32", (3,)) + bytes(12)
    assert reader.read(whole).tolist() == [0, 0, 0]
    huge = (
        npy.MAGIC
        + b"\x01\x00\x76\x00"
        + repr({"descr": "<f4", "fortran_order": False, "shape": (0, 1 << 39, 1 << 39)}).encode().ljust(0x76)
    )
    for content in (huge, *(whole[:end] for end in range(6, len(whole)))):
        with pytest.raises(InputError):
            reader.read(content)
    for _ in range(3000):
        changed = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(6, 80)] = chance.randrange(256)
        try:
            reader.read(bytes(changed))
        except InputError:
            continue


def test_arrays_of_numpy_have_32_dimensions_at_most() -> None:
    """NumPy 1 takes 32 and NumPy 2 64; with more it raises."""
    reader = ArrayReader(ModelInput("x", tensor="FP32[1]"))
    for dimensions in (33, 65):
        with pytest.raises(InputError, match=f"has {dimensions} dimensions, expected 32 at most"):
            reader.read(npy.header("FP32", (1,) * dimensions) + bytes(4))
    with pytest.raises(InputError, match="has shape"):
        reader.read(npy.header("FP32", (1,) * 32) + bytes(4))


@pytest.mark.parametrize("batch_size", [0, 4])
def test_an_array_can_be_written_to_however_it_came(batch_size: int) -> None:
    def doubled(array: np.ndarray) -> object:
        array *= 2
        return array.tolist()

    function = typed(doubled, "array", batch_size, tensor="FP32[2]")
    elements = np.array([1, 2], "<f4").tobytes()
    items = [b"[1, 2]", elements, npy.header("FP32", (2,)) + elements, npy.header("INT32", (2,)) + bytes(8)]
    assert results(function([{"x": content} for content in items])) == [[2, 4], [2, 4], [2, 4], [0, 0]]


def test_headers_of_shapes_that_callers_choose_do_not_fill_the_memory() -> None:
    for length in range(1000):
        npy.header("FP32", (length,))
    assert npy.header.cache_info().currsize <= 256


@pytest.mark.parametrize(
    ("tensor", "result", "message"),
    [
        ("INT8[]", np.int64(300), "output 'y': 300 is not of INT8"),
        ("INT8[2]", np.array([1, 300]), "output 'y'[1]: 300 is not of INT8"),
        ("UINT8[]", np.int64(-1), "output 'y': -1 is not of UINT8"),
        ("INT32[]", np.float64("inf"), "output 'y': inf is not of INT32"),
        ("INT32[]", np.float32("nan"), "output 'y': nan is not of INT32"),
        ("INT64[]", np.float64(2.0**63), "output 'y': 9.22337203685477"),
        ("INT64[]", np.float64(3.5), "output 'y': 3.5 is not of INT64"),
        ("FP32[]", np.float64(1e300), "output 'y': 1e+300 is not of FP32"),
        ("FP32[]", 1e300, "output 'y' is not of FP32: "),
        ("FP64[]", 10**400, "output 'y' is not of FP64: "),
        ("BOOL[]", np.int64(2), "output 'y': 2 is not of BOOL"),
        ("BOOL[1]", ["false"], "output 'y' is not of BOOL: "),
        ("FP32[]", np.complex64(1j), "output 'y' is an array of complex64, and is declared as FP32"),
        ("FP32[1]", np.array(["1"]), "output 'y' is an array of <U1, and is declared as FP32"),
    ],
)
def test_a_result_that_its_datatype_does_not_hold_is_an_error(tensor: str, result: object, message: str) -> None:
    function = typed(lambda text: result, "text", 0, outputs=(ModelOutput("y", tensor=tensor),))
    (answer,) = asked(function, "")
    assert answer.kind is ErrorKind.CONTRACT
    assert str(answer.error).startswith(f"the model's result cannot be sent: {message}")


@pytest.mark.parametrize("error", [OverflowError, ZeroDivisionError, OSError, KeyError, IndexError])
def test_a_result_that_cannot_be_read_costs_no_other_item(error: type[Exception]) -> None:
    class Hidden:
        def tolist(self) -> object:
            raise error("hidden")

    function = typed(lambda texts: [Hidden() if text == "b" else text for text in texts], "text")
    found = function([{"x": text} for text in (b"a", b"b", b"c")])
    assert [answer.output and json.loads(answer.output["results.json"]) for answer in found] == ["a", None, "c"]
    assert found[1].kind is ErrorKind.CONTRACT
    assert "hidden" in str(found[1].error)


@pytest.mark.parametrize(
    "content",
    [
        rb'{"t": "\ud800"}',
        rb'{"t": "a\uDFFFb"}',
        b'{"t": "\xed\xa0\x80"}',
        '{"t": "\ud800"}'.encode("utf-16", "surrogatepass"),
    ],
)
@pytest.mark.parametrize("signature", ["rows", "json", "table"])
def test_half_of_a_surrogate_pair_is_not_text(content: bytes, signature: str) -> None:
    columns = {} if signature == "json" else {"t": "TEXT"}
    (answer,) = typed(lambda rows: [0], signature, columns=columns)([{"x": content}])
    assert answer.kind is ErrorKind.INPUT
    (answer,) = typed(lambda rows: [0], signature, columns=columns)([{"x": rb'{"t": "\ud83d\ude00"}'}])
    assert answer.output


@pytest.mark.parametrize("header", [b"", npy.header("BOOL", (2,))])
def test_booleans_are_bytes_of_0_and_1(header: bytes) -> None:
    reader = ArrayReader(ModelInput("x", tensor="BOOL[2]"))
    assert reader.read(header + b"\0\1").tolist() == [False, True]
    with pytest.raises(InputError, match="byte 1 of the booleans is 2, expected 0 or 1"):
        reader.read(header + b"\1\2")


@dataclasses.dataclass
class Parcel:
    grams: int
    country: str = "CH"

    def __post_init__(self) -> None:
        if self.grams < 0:
            raise ValueError("grams are negative")


@pytest.mark.parametrize("batch_size", [0, 4])
def test_a_record_that_refuses_its_values_is_a_bad_item(batch_size: int) -> None:
    def grams(given: Any) -> object:
        return [one.grams for one in given] if batch_size else given.grams

    function = typed(RecordFunction(grams, Parcel), "rows", batch_size, columns={"grams": "INT64", "country": "TEXT"})
    answers = asked(function, {"grams": 1}, {"grams": -1}, {"grams": 2, "country": "DE"})
    assert results(answers) == [1, "the row is not a Parcel: grams are negative", 2]
    assert answers[1].kind is ErrorKind.INPUT


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2024-05-01", "2024-05-01T00:00:00"),
        ("20240501", "2024-05-01T00:00:00"),
        ("2024-05-01 12", "2024-05-01T12:00:00"),
        ("2024-05-01T12:30", "2024-05-01T12:30:00"),
        ("2024-05-01T12:30:15.5Z", "2024-05-01T12:30:15.500000"),
        ("2024-05-01T12:30:15,123456789Z", "2024-05-01T12:30:15.123456"),
        ("20240501T123015Z", "2024-05-01T12:30:15"),
        ("2024-05-01T00:30:00+02", "2024-04-30T22:30:00"),
        ("2024-05-01T00:30:00-0130", "2024-05-01T02:00:00"),
        ("2024-05-01T00:30:00+05:30", "2024-04-30T19:00:00"),
        ("2024-0501", None),
        ("2024-02-30", None),
        ("2024-05-01T24:00", None),
        ("2024-05-01T12:3015", None),
        ("2024-05-01T12:00+24:00", None),
        ("0001-01-01T00:00+01:00", None),
        ("2024-W18-3", None),
        ("٢٠٢٤-05-01", None),
        ("2024-05-01\n", None),
    ],
)
def test_times_are_the_same_in_every_python(text: str, wanted: str | None) -> None:
    """Python 3.10 lacks `datetime.UTC`, and its `fromisoformat` takes few forms."""
    (answer,) = asked(typed(lambda rows: rows, "json", columns={"t": "TIMESTAMP"}), {"t": text})
    if wanted is None:
        assert answer.kind is ErrorKind.INPUT
    else:
        assert results([answer]) == [{"t": wanted}]

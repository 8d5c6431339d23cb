"""Tests of chassis.runtime.core.json_result."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import subprocess
import sys
import uuid
from collections import OrderedDict
from pathlib import Path
from types import MappingProxyType

import pytest

from chassis.runtime.core.json_result import encode


class Scalar:
    """What NumPy's, CuPy's and PyTorch's numbers have in common."""

    def __init__(self, value: object) -> None:
        self.value = value

    def tolist(self) -> object:
        return self.value


CASES = {
    '{"a":[1,2.5,null,true,"é"]}': {"a": [1, 2.5, None, True, "é"]},
    "[1,[2,3]]": (1, (2, 3)),
    '{"b":1,"a":2}': OrderedDict(b=1, a=2),
    '{"a":1}': MappingProxyType({"a": 1}),
    "[[1,2],[3,4]]": Scalar([[1, 2], [3, 4]]),
    '{"s":3}': {"s": Scalar(3)},
    '{"3":"three"}': {Scalar(3): "three"},
    '{"null":0}': {None: 0},
}


@pytest.mark.parametrize("expected", CASES)
def test_json_is_compact(expected: str) -> None:
    assert encode(CASES[expected]) == expected.encode()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "holds a object"),
        ([b"bytes"], "holds a bytes"),
        ({1, b"2"}, "holds a bytes"),
        ({(1, 2): 3}, "mapping key of type tuple"),
        (1j, "holds a complex"),
    ],
)
def test_what_json_has_no_word_for_is_named(value: object, reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        encode(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, [1, -math.inf], Scalar(math.nan)])
def test_nan_and_infinities_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="NaN or an infinity"):
        encode(value)


def test_a_result_that_holds_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="holds itself"):
        encode(loop)


def test_numpy_becomes_lists_and_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    value = {
        "array": numpy.arange(4, dtype=numpy.uint8).reshape(2, 2),
        "scalar": numpy.float32(0.5),
        "int": numpy.int64(7),
        "bool": numpy.bool_(True),
        "zero-dimensional": numpy.array(3),
        numpy.int64(3): "key",
    }
    assert encode(value) == b'{"array":[[0,1],[2,3]],"scalar":0.5,"int":7,"bool":true,"zero-dimensional":3,"3":"key"}'


def test_numpy_is_not_imported() -> None:
    code = "import sys; from chassis.runtime.core.json_result import encode; encode([1]); print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "False\n"


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass(frozen=True)
class Box:
    left: float
    label: Colour
    inside: tuple[Box, ...] = ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            Box(0.5, Colour.RED, (Box(1, Colour.RED),)),
            '{"left":0.5,"label":"red","inside":[{"left":1,"label":"red","inside":[]}]}',
        ),
        (decimal.Decimal("0.10"), '"0.10"'),
        (datetime.date(2026, 1, 31), '"2026-01-31"'),
        (datetime.time(1, 2, 3), '"01:02:03"'),
        (datetime.datetime(2026, 1, 31, 1, 2, tzinfo=datetime.UTC), '"2026-01-31T01:02:00+00:00"'),
        (datetime.timedelta(minutes=1.5), "90.0"),
        (uuid.UUID(int=7), '"00000000-0000-0000-0000-000000000007"'),
        (Colour.RED, '"red"'),
        ({"b", "a", "c"}, '["a","b","c"]'),
        (frozenset({10, 9}), "[10,9]"),
        (Path("/a/b"), '"/a/b"'),
        ({Colour.RED: 1, datetime.date(2026, 1, 31): 2, uuid.UUID(int=7): 3, decimal.Decimal("0.1"): 4}, None),
    ],
    ids=repr,
)
def test_what_a_model_computes_with_becomes_json(value: object, expected: str | None) -> None:
    if expected is None:
        expected = '{"red":1,"2026-01-31":2,"00000000-0000-0000-0000-000000000007":3,"0.1":4}'
    assert encode(value) == expected.encode()


def test_frames_and_series_of_pandas_with_null_for_what_is_missing() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "x": [1.5, math.nan],
            "n": pandas.array([1, None], dtype="Int64"),
            "t": pandas.to_datetime(["2026-01-31", None]),
            "s": ["a", None],
        }
    )
    assert encode(frame) == (
        b'[{"x":1.5,"n":1,"t":"2026-01-31T00:00:00","s":"a"},{"x":null,"n":null,"t":null,"s":null}]'
    )
    assert encode({"x": frame["x"], "n": frame["n"]}) == b'{"x":[1.5,null],"n":[1,null]}'
    assert encode([pandas.NaT, pandas.NA, pandas.Timestamp("2026-01-31")]) == b'[null,null,"2026-01-31T00:00:00"]'
    assert encode(frame.index) == b"[0,1]"
    with pytest.raises(ValueError, match="NaN or an infinity"):
        encode(pandas.Series([math.inf]))


@pytest.mark.parametrize(
    ("columns", "key"), [(["x", "n", "x"], "x"), ([1, "1", 2], "1"), ([2, 1, 1], "1"), ([True, "a", "true"], "true")]
)
def test_a_frame_whose_columns_have_one_name_in_json_is_refused(columns: list[object], key: str) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[1, 2, 3]], columns=columns)
    with pytest.raises(TypeError, match=f"two columns that JSON calls '{key}'"):
        encode(frame)


def test_columns_that_are_no_texts_are_called_as_json_calls_them() -> None:
    pandas = pytest.importorskip("pandas")
    assert encode(pandas.DataFrame([[1, 2]])) == b'[{"0":1,"1":2}]'
    frame = pandas.DataFrame([[1, 2, 3]], columns=[1, 1.5, pandas.Timestamp("2026-01-31")])
    assert encode(frame) == b'[{"1":1,"1.5":2,"2026-01-31T00:00:00":3}]'

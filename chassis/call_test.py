"""What a function may be told of a request, and give beside its result."""

from __future__ import annotations

import math
import pickle
import time

import numpy as np
import pytest

from chassis.call import Request, Result


def test_a_request_of_nobody_has_nothing() -> None:
    request = Request()
    assert (request.id, dict(request.parameters), dict(request.headers), request.deadline) == ("", {}, {}, None)
    assert request.remaining() == math.inf


def test_what_remains_is_never_below_nothing() -> None:
    assert 0 < Request(deadline=time.monotonic() + 5).remaining() <= 5
    assert Request(deadline=time.monotonic() - 5).remaining() == 0


def test_a_request_goes_to_another_process() -> None:
    request = Request("a", {"b": 1}, {"c": "d"}, 2.0)
    assert pickle.loads(pickle.dumps(request)) == request


def test_scalars_of_numpy_are_parameters() -> None:
    given = Result(
        1, {"f": np.float32(0.5), "d": np.float64(0.5), "i": np.int64(3), "b": np.bool_(True), "s": np.str_("x")}
    )
    assert {name: (type(value), value) for name, value in given.parameters.items()} == {
        "f": (float, 0.5),
        "d": (float, 0.5),
        "i": (int, 3),
        "b": (bool, True),
        "s": (str, "x"),
    }


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"a": [1]}, TypeError, "parameter 'a' is a list, expected a text, a number or a boolean"),
        ({"a": None}, TypeError, "parameter 'a' is a NoneType"),
        ({1: 1}, TypeError, "a parameter is named 1"),
        ({"a": math.nan}, ValueError, "parameter 'a' is nan, expected a finite number"),
        ({"a": 1 << 64}, ValueError, "expected an integer of 64 bits"),
        ({"a": np.zeros(2)}, TypeError, "parameter 'a' is a ndarray"),
    ],
)
def test_a_parameter_that_no_protocol_can_express_is_refused_where_it_is_made(
    parameters: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Result(1, parameters)

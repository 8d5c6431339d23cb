"""A declared class is a frozen value that says of each defect which field it is."""

from __future__ import annotations

import pickle

import pytest

from chassis.declaration.declared import Declared, field
from chassis.declaration.kinds import Count, Kind, MetadataError


class Point(Declared):
    """A point for this test."""

    x: int = field(Count(), doc="how far right.")
    label: str = field(Kind(), default="", doc="for people.")


def test_fields_are_given_in_order_or_by_name() -> None:
    assert Point(1, "a") == Point(label="a", x=1)
    assert Point(1) != Point(2)
    assert repr(Point(1)) == "Point(x=1, label='')"
    assert len({Point(1), Point(x=1), Point(2)}) == 2


@pytest.mark.parametrize(
    ("values", "named", "reason"),
    [
        ((), {}, "x is missing"),
        ((1, "a", 2), {}, "takes 2 values, 3 were given"),
        ((1,), {"x": 1}, "x is given twice"),
        ((1,), {"z": 1}, "no field 'z'"),
    ],
)
def test_a_call_that_does_not_fit_is_refused(values: tuple, named: dict, reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        Point(*values, **named)


def test_a_value_that_cannot_be_is_refused_also_in_a_copy() -> None:
    with pytest.raises(MetadataError, match="x is -1"):
        Point(-1)
    with pytest.raises(MetadataError, match="x is -1"):
        Point(1).replace(x=-1)


def test_it_cannot_be_changed_and_can_be_pickled() -> None:
    with pytest.raises(AttributeError, match=r"replace\(x=…\)"):
        Point(1).x = 2  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(Point(1, "a"))) == Point(1, "a")


def test_texts_are_those_of_parts_too() -> None:
    assert Point(1, "a").texts() == ["a"]

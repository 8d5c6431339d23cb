"""Tests of chassis.runtime.core.budget."""

from __future__ import annotations

import pytest

from chassis.runtime.core.budget import Budget
from chassis.runtime.core.request_error import BusyError, RequestError


def test_what_is_taken_is_missing_until_it_is_given_back() -> None:
    budget = Budget(100)
    assert budget.take(60)
    assert not budget.take(41)
    assert (budget.taken, budget.refused) == (60, 1)
    budget.give(20)
    assert budget.take(60)


def test_too_much_for_now_may_come_again_and_too_much_at_all_may_not() -> None:
    budget = Budget(100)
    budget.take(60)
    budget.require(40, "it")
    with pytest.raises(BusyError, match="hold 60 of the 100 bytes"):
        budget.require(41, "it")
    with pytest.raises(RequestError, match="it needs about 101 bytes") as caught:
        budget.require(101, "it")
    assert caught.value.status == 413


def test_it_is_only_lowered() -> None:
    budget = Budget(100)
    budget.lower(200)
    assert budget.total == 100
    budget.lower(50)
    assert not budget.take(51)

"""Pushes into one repository: one at a time, and a job whose time is over waits for no other."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chassis.oci.registry.errors import CancelledError
from chassis.oci.registry.transport import Cancellation
from chassis.service.publisher import Publisher


def test_a_job_that_is_given_up_waits_for_no_other_push() -> None:
    publisher, began, go_on = Publisher(), threading.Event(), threading.Event()
    given_up = Cancellation()

    def push(cancellation: Cancellation) -> None:
        with publisher._alone("registry.example/x", cancellation):
            began.set()
            go_on.wait(30)

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(push, Cancellation())
        assert began.wait(30)
        second = pool.submit(push, given_up)
        given_up.set()
        with pytest.raises(CancelledError):
            second.result(10)
        began.clear()
        third = pool.submit(push, Cancellation())
        assert not began.wait(0.5)
        go_on.set()
        assert began.wait(30)
        first.result(30)
        third.result(30)


def test_a_job_that_was_given_up_does_not_begin_to_push() -> None:
    given_up = Cancellation()
    given_up.set()
    with pytest.raises(CancelledError), Publisher()._alone("registry.example/x", given_up):
        pass

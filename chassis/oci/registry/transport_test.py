"""What is made of a registry's headers, and how long is waited."""

from __future__ import annotations

import email.utils
import time

import pytest
import urllib3

from chassis.oci.registry.request import Response
from chassis.oci.registry.transport import Backoff

URL = "https://r.example/v2/x/blobs/uploads/"


@pytest.mark.parametrize(
    ("seconds", "least", "most"), [(100, 90, 101), (-100, 0, 0)], ids=["a date to come", "a date gone by"]
)
def test_retry_after_as_a_date(seconds: int, least: float, most: float) -> None:
    date = email.utils.formatdate(time.time() + seconds, usegmt=True)
    asked = Response(429, urllib3.HTTPHeaderDict({"Retry-After": date}), b"", URL).retry_after
    assert asked is not None
    assert least <= asked <= most


def test_retry_after_in_seconds() -> None:
    assert Response(429, urllib3.HTTPHeaderDict({"Retry-After": "7"}), b"", URL).retry_after == 7.0


@pytest.mark.parametrize("value", ["", "soon", "-1", "9" * 400])
def test_a_retry_after_that_says_nothing(value: str) -> None:
    assert Response(429, urllib3.HTTPHeaderDict({"Retry-After": value}), b"", URL).retry_after is None


def test_waits_grow_and_are_bounded() -> None:
    backoff = Backoff(first=1.0, longest=8.0, longest_asked=60.0)
    waits = [backoff.wait(attempt) for attempt in range(10)]
    assert all(0.5 * 2**attempt <= wait <= 2**attempt for attempt, wait in enumerate(waits[:4]))
    assert max(waits) <= 8.0
    assert backoff.wait(0, asked=3600.0) == 60.0
    assert backoff.wait(0, asked=5.0) == 5.0

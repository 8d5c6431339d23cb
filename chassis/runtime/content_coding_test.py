"""Tests of chassis.runtime.content_coding."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest

from chassis.runtime.content_coding import (
    ContentDecoder,
    ContentError,
    TooLargeError,
    coding_of,
    compress,
    preferred,
)
from chassis.runtime.core.budget import Budget
from chassis.runtime.core.request_error import BusyError, RequestError

_TEXT = bytes(range(256)) * 2000


def _bare(content: bytes) -> bytes:
    stream = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return stream.compress(content) + stream.flush()


def _decode(content: bytes, coding: str, *, most: int = 1 << 20, total: int = 1 << 24) -> tuple[bytes, int]:
    async def decode() -> tuple[bytes, int]:
        budget = Budget(total)
        try:
            found, taken = await ContentDecoder(budget, most).decode(content, coding)
        except BaseException:
            assert budget.taken == 0
            raise
        assert budget.taken == taken
        return bytes(found), taken

    return asyncio.run(decode())


@pytest.mark.parametrize(
    ("content", "coding", "expected"),
    [
        (gzip.compress(_TEXT), "gzip", _TEXT),
        (gzip.compress(_TEXT) + gzip.compress(b"more"), "gzip", _TEXT + b"more"),
        (zlib.compress(_TEXT), "deflate", _TEXT),
        (_bare(_TEXT), "deflate", _TEXT),
        (gzip.compress(b""), "gzip", b""),
        (zlib.compress(bytes(1 << 20)), "deflate", bytes(1 << 20)),
        (compress(_TEXT, "gzip"), "gzip", _TEXT),
        (compress(_TEXT, "deflate"), "deflate", _TEXT),
    ],
)
def test_content_is_inflated(content: bytes, coding: str, expected: bytes) -> None:
    assert _decode(content, coding) == (expected, len(expected))


@pytest.mark.parametrize(
    ("content", "coding", "error"),
    [
        (b"no", "gzip", ContentError),
        (b"xyz", "deflate", ContentError),
        (gzip.compress(_TEXT)[:-9], "gzip", ContentError),
        (zlib.compress(_TEXT)[:-1], "deflate", ContentError),
        (zlib.compress(_TEXT) + b"x", "deflate", ContentError),
        (b"", "gzip", ContentError),
        (gzip.compress(bytes((1 << 20) + 1)), "gzip", TooLargeError),
        (gzip.compress(bytes(1 << 30), 1), "gzip", TooLargeError),
    ],
)
def test_what_is_not_of_its_coding_or_too_much_is_refused(content: bytes, coding: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        _decode(content, coding)


def test_what_the_budget_leaves_no_room_for_is_refused() -> None:
    with pytest.raises((BusyError, RequestError)):
        _decode(gzip.compress(bytes(1 << 20)), "gzip", total=1 << 19)


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("gzip, deflate", "gzip"),
        ("deflate", "deflate"),
        ("gzip;q=0.5, deflate;q=0.8", "deflate"),
        ("gzip;q=0", ""),
        ("*", "gzip"),
        ("*;q=0", ""),
        ("br, zstd", ""),
        ("identity, gzip;q=0.2", ""),
        ("x-gzip", "gzip"),
        ("gzip;q=high", ""),
        ("", ""),
    ],
)
def test_what_a_client_prefers(accepted: str, expected: str) -> None:
    assert preferred(accepted) == expected


def test_codings_by_their_header() -> None:
    known = {"gzip": "gzip", " GZip ": "gzip", "x-gzip": "gzip", "identity": "", "": "", "br": None, "gzip, gzip": None}
    assert {text: coding_of({"content-encoding": text}) for text in known} == known
    assert coding_of({}) == ""

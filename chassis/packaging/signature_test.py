"""What a predict function's annotations say of it."""

from __future__ import annotations

import functools
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping

import pytest

from chassis.packaging.errors import EntryPointError
from chassis.packaging.signature import describe_signature, read_signature, resolve_signature, takes_request


def text_pieces(content: bytes) -> Iterator[str]:
    yield ""


def text_generator(item) -> Generator[str, None, None]:  # type: ignore[no-untyped-def]
    yield ""


def mapping_pieces(item) -> Iterator[dict[str, bytes]]:  # type: ignore[no-untyped-def]
    yield {}


def mapping_generator(item) -> Generator[dict[str, bytes], None, None]:  # type: ignore[no-untyped-def]
    yield {}


async def later_pieces(item) -> AsyncIterator[Mapping[str, bytes]]:  # type: ignore[no-untyped-def]
    yield {}


async def later_generator(item) -> AsyncGenerator[dict[str, bytes], None]:  # type: ignore[no-untyped-def]
    yield {}


async def awaited(item: Mapping[str, bytes]) -> dict[str, bytes]:
    return {}


@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (text_pieces, "bytes"),
        (text_generator, "bytes"),
        (mapping_pieces, "mapping"),
        (mapping_generator, "mapping"),
        (later_pieces, "mapping"),
        (later_generator, "mapping"),
        (awaited, "mapping"),
    ],
)
def test_a_function_that_streams(function: Callable[..., object], signature: str) -> None:
    assert resolve_signature(function, "f", "auto", 0) == signature


def test_the_request_is_taken_by_its_name() -> None:
    table = {
        (lambda x: 0): False,
        (lambda x, request: 0): True,
        (lambda x, request=None: 0): True,
        (lambda x, *, request: 0): True,
        (lambda x, threshold=0.5: 0): False,
        (lambda x, threshold=0.5, request=None: 0): True,
        (lambda request: 0): False,
        (lambda x, requests=(): 0): False,
        (lambda *values: 0): False,
        functools.partial(lambda scale, x, request: 0, 2): True,
        len: False,
    }
    for function, taken in table.items():
        assert takes_request(function, "f", 0) is taken
        assert read_signature(describe_signature(function, "f", "auto", 0)) == ("bytes", taken)
    assert takes_request(lambda xs, requests: 0, "f", 4)
    assert not takes_request(lambda xs, request=None: 0, "f", 4)


@pytest.mark.parametrize(
    ("function", "batch_size", "message"),
    [
        (lambda x, other: 0, 0, "may take `request`, what is known of the request; it wants: x, other"),
        (lambda x, requests: 0, 0, "may take `request`"),
        (lambda xs, request: 0, 4, "may take `requests`, what is known of the request of each input; it wants"),
        (lambda x, *, other: 0, 0, "it wants: x, other"),
        (lambda x, request, /: 0, 0, "leave the `/` behind it out"),
    ],
)
def test_another_parameter_is_refused(function: Callable[..., object], batch_size: int, message: str) -> None:
    with pytest.raises(EntryPointError, match=re.escape(message)):
        describe_signature(function, "f", "auto", batch_size)


@pytest.mark.parametrize("said", ["", "bytes ", "texts", "bytes requests", "bytes request x", "mapping  request"])
def test_what_no_worker_says_is_not_read(said: str) -> None:
    assert read_signature(said) is None

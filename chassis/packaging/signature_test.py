"""What a predict function's annotations say of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping

import pytest

from chassis.packaging.signature import resolve_signature


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

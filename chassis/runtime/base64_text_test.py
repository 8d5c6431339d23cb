"""Base64 is read as strictly as Python's own decoder can, and without a copy of its text."""

from __future__ import annotations

import base64
import binascii
import itertools
import tracemalloc

import pytest

from chassis.runtime.base64_text import decode_base64


def _validated(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


def _decoded(text: str) -> bytes | None:
    try:
        return decode_base64(text)
    except ValueError:
        return None


def test_what_is_taken_is_what_pythons_decoder_takes() -> None:
    for length in range(6):
        for letters in itertools.product("AQ=/-\n", repeat=length):
            text = "".join(letters)
            assert _decoded(text) == _validated(text), text


@pytest.mark.parametrize(
    ("given", "error"), [("é", ValueError), ("\ud800", ValueError), (5, TypeError), ([], TypeError)]
)
def test_what_is_no_text_or_not_of_its_letters_is_refused(given: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        decode_base64(given)  # type: ignore[arg-type]


def test_the_text_is_not_copied() -> None:
    text = base64.b64encode(bytes(3_000_000)).decode()
    tracemalloc.start()
    try:
        content = decode_base64(text)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(content) == 3_000_000
    assert most < 1.1 * len(content)

"""Tests of chassis.runtime.http.json_body."""

from __future__ import annotations

import sys
import tracemalloc

import pytest

from chassis.runtime.core.budget import Budget
from chassis.runtime.core.request_error import RequestError
from chassis.runtime.http.json_body import memory_needed, read_object

_SIZE = 300_000


@pytest.mark.parametrize(
    "element",
    [
        "{}",
        "[]",
        "[[]]",
        '{"":0}',
        '{"a":{"b":{}}}',
        '{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}',
        "0",
        "300",
        "0.5",
        "1e5",
        "123456789012345678901234567890",
        '"ab"',
        '"\\u00e9"',
        '"\\ud83d\\ude00"',
        '"é"',
        '"中文"',
        '"\U0001f600xxxxxxxxxxxxxxxxxxxxxxxx"',
        "true",
    ],
)
def test_reading_takes_no_more_memory_than_foreseen(element: str) -> None:
    count = _SIZE // len(element.encode())
    bodies = [f'{{"x":[{",".join([element] * count)}]}}', f'{{"x":[{",".join(f" {element}" for _ in range(count))}]}}']
    bodies.append('{"x":[' + ",".join(f'{{"{number}":{element}}}' for number in range(count // 4)) + "]}")
    if element.startswith('"'):
        bodies.append('{"x":"' + element[1:-1] * count + '"}')
    for text in bodies:
        content = text.encode()
        foreseen = memory_needed(content)
        tracemalloc.start()
        try:
            found = read_object(content, Budget(1 << 40))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert found
        assert peak <= foreseen + 10_000, text[:80]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"a": NaN}', "NaN at line 1, column 7"),
        (b'{"NaN": "Infinity",\n "b": [-Infinity]}', "-Infinity at line 2, column 8"),
        (b'{"a": "%s",\n "b": [1, %s]}' % (b"1" * 9000, b"1" * 9000), "too many digits at line 2, column 11"),
        (b'{"a": [0.%s,\n %s]}' % (b"1" * 9000, b"1" * 9000), "too many digits at line 2, column 2"),
        (b'{"a": [1e-%s, %s.5, "\\\\", -%s]}' % ((b"1" * 4301,) * 3), "too many digits at line 1, column 8625"),
        (b'{"a": "\\u1%s, 2%s \\"",\n"b": %s}' % ((b"1" * 4301,) * 3), "too many digits at line 2, column 6"),
        (b'{"a": "\\\\", "b": "\\"NaN", "c": [1, NaN]}', "NaN at line 1, column 36"),
        (b'{"a": 1,}', "line 1 column 9"),
        (b'{"a": "\xff"}', "byte 7"),
        (b"", "not JSON"),
        (b"{} {}", "Extra data"),
        (b"7", "not a JSON object"),
    ],
)
def test_what_is_not_json_is_named_with_its_place(content: bytes, reason: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_object(content, Budget(1 << 30))
    assert caught.value.status == 400
    assert reason in str(caught.value)


_LONG = b"1" * 4301


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": "%s", "b": NaN}' % (b"x" * 10_000_000),
        b'{"a": "%s", "b": NaN}' % (rb"\"" * 5_000_000),
        b'{"a": [%s NaN]}' % (b'"NaN",' * 1_000_000),
        b'{"a": [%s %s]}' % (b'"",' * 1_000_000, _LONG),
        b'{"a": "%s", "b": %s}' % (b" ".join([_LONG] * 2000), _LONG),
    ],
    ids=["a string", "escapes", "constants in strings", "strings", "digits in a string"],
)
def test_a_place_is_found_in_the_memory_of_a_reading(content: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RequestError, match="at line 1, column"):
            read_object(content, Budget(1 << 40))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= memory_needed(content) + 10_000


def test_digits_are_looked_at_once() -> None:
    """A search that begins anew at each digit would take hours here."""
    usual, limit = sys.get_int_max_str_digits(), 1_000_000
    sys.set_int_max_str_digits(limit)
    try:
        with pytest.raises(RequestError, match="too many digits at line 2, column 1"):
            read_object(b'{"a": [0.%s,\n%s]}' % (b"1" * limit, b"1" * (limit + 1)), Budget(1 << 30))
    finally:
        sys.set_int_max_str_digits(usual)


def test_white_space_around_an_object_is_ignored() -> None:
    assert read_object(b' \r\n\t{"a": 1}\n ', Budget(1 << 30)) == {"a": 1}

"""A file read at any place gives what a file in memory would, and no hostile order of reading goes on for ever."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.doctor.rewound import Rewound, RewoundError

_PIECE = 1 << 20
_DATA = b"".join(bytes([number]) * (_PIECE // 4 + number) for number in range(40))


def _source(data: bytes, step: int = 70_001) -> Callable[[], Callable[[int], bytes]]:
    """Reads never give more than `step` bytes at once, as an inflater's need not."""

    def again() -> Callable[[int], bytes]:
        stream = io.BytesIO(data)
        return lambda size: stream.read(min(size, step))

    return again


@given(st.lists(st.tuples(st.integers(0, len(_DATA) + 10), st.integers(0, 3 * _PIECE)), max_size=12))
def test_any_place_holds_what_it_holds_in_memory(reads: list[tuple[int, int]]) -> None:
    found, wanted = Rewound(_source(_DATA), len(_DATA), kept=100_000), io.BytesIO(_DATA)
    for offset, size in reads:
        assert found.seek(offset) == wanted.seek(offset)
        assert found.read(size) == wanted.read(size)
        assert found.tell() == wanted.tell()


def test_the_end_is_found_without_reading() -> None:
    def never() -> Callable[[int], bytes]:
        return lambda size: pytest.fail("it was read")

    assert Rewound(never, 123).seek(0, io.SEEK_END) == 123


def test_a_file_that_is_shorter_than_said_ends_where_it_ends() -> None:
    found = Rewound(_source(b"short"), 1_000, kept=2)
    found.seek(3)
    assert found.read(10) == b"rt"
    assert found.read(10) == b""


def test_what_is_kept_is_not_read_again() -> None:
    readers = []

    def again() -> Callable[[int], bytes]:
        readers.append(None)
        return _source(_DATA)()

    found = Rewound(again, len(_DATA), kept=_PIECE)
    for _ in range(100):
        found.seek(len(_DATA) - 10)
        found.read(10)
        found.seek(0)
        found.read(_PIECE)
    assert len(readers) == 1


def test_reading_to_and_fro_has_an_end() -> None:
    found = Rewound(_source(_DATA), len(_DATA), kept=0)
    with pytest.raises(RewoundError, match="to and fro"):
        for _ in range(100):
            found.seek(len(_DATA) - 10)
            found.read(10)
            found.seek(0)
            found.read(10)

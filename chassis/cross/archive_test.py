"""Tests of archive.py."""

from __future__ import annotations

import pytest

from chassis.cross.archive import read_members, write_archive
from chassis.errors import ChassisError

_MEMBERS = [("short.o", b"odd"), ("a-name-that-is-longer-than-a-header-holds.o", b"even"), ("empty.o", b"")]


def test_what_is_written_is_read_again() -> None:
    assert list(read_members(write_archive(iter(_MEMBERS)), "x.a")) == _MEMBERS


def test_an_archive_is_the_same_whatever_directories_its_members_came_from() -> None:
    long_names = b"/tmp/one/cache/member.o/\n"
    header = b"%-16s%-12d%-6d%-6d%-8o%-10d`\n"
    data = b"!<arch>\n" + header % (b"//", 0, 0, 0, 0, len(long_names)) + long_names + b"\n"
    data += header % (b"/0", 1700000000, 5, 5, 0o600, 2) + b"ab"
    assert list(read_members(data, "x.a")) == [("member.o", b"ab")]
    assert write_archive(read_members(data, "x.a")) == write_archive(iter([("member.o", b"ab")]))


@pytest.mark.parametrize("data", [b"", b"!<thin>\n", b"!<arch>\ngarbage", write_archive(iter(_MEMBERS))[:-3]])
def test_a_damaged_archive_is_named(data: bytes) -> None:
    with pytest.raises(ChassisError, match=r"x\.a"):
        assert not list(read_members(data, "x.a"))
        raise AssertionError("nothing was wrong")

"""Tests of lock.py."""

from __future__ import annotations

import pytest

from chassis.debian.apt import Package
from chassis.debian.lock import LockError, Wish, describe_changes, format_lock, make_lock, parse_lock

_SHA = "0123456789abcdef" * 4
_WISH = Wish("bookworm", "arm64", ("zlib1g", "libfoo"), ("debconf",))
_PACKAGES = [
    Package("zlib1g", "1:1.2.13", "arm64", "pool/main/z/zlib/zlib1g_1.2.13_arm64.deb", 10, _SHA),
    Package("libfoo", "2.0-1+b1", "arm64", "pool/main/f/foo/libfoo_2.0-1+b1_arm64.deb", 10, _SHA),
]

_ERRORS = {
    "zlib1g 1.2": "line 1: expected `name version sha256:HEX pool/path.deb`",
    f"\n# c\nzlib1g 1 md5:{_SHA} pool/z.deb": "line 3: expected",
    f"zlib1g 1 sha256:{_SHA[1:]} pool/z.deb": "line 1: expected",
    f"zlib1g 1 sha256:{_SHA} /pool/z.deb": "line 1: expected",
    f"zlib1g 1 sha256:{_SHA} pool/z.deb\nzlib1g 2 sha256:{_SHA} pool/z.deb": "line 2: package zlib1g is",
}


def test_a_lock_is_read_as_it_was_written_sorted_by_name() -> None:
    lock = make_lock(_WISH, _PACKAGES)
    text = format_lock(lock, "renew it")
    read = parse_lock(text, "x.lock")
    assert [package.name for package in read.packages] == ["libfoo", "zlib1g"]
    assert read.packages == lock.packages
    assert read.wish == Wish("bookworm", "arm64", ("libfoo", "zlib1g"), ("debconf",))
    assert format_lock(read, "renew it") == text


def test_a_lock_names_no_host() -> None:
    assert "://" not in format_lock(make_lock(_WISH, _PACKAGES), "renew it")


def test_a_line_that_is_none_of_a_locks_is_named() -> None:
    for text, expected in _ERRORS.items():
        with pytest.raises(LockError) as error:
            parse_lock(text, "base.lock")
        assert str(error.value).startswith("base.lock, line"), text
        assert expected in str(error.value), text


def test_a_renewal_says_what_changed() -> None:
    old = make_lock(_WISH, _PACKAGES)
    new = make_lock(
        _WISH,
        [
            _PACKAGES[0]._replace(version="1:1.3", sha256=_SHA[::-1]),
            Package("libnew", "1", "all", "pool/n.deb", 1, _SHA),
        ],
    )
    assert describe_changes(old, new) == ["- libfoo 2.0-1+b1", "+ libnew 1", "~ zlib1g 1:1.2.13 -> 1:1.3"]
    assert describe_changes(None, old) == ["+ libfoo 2.0-1+b1", "+ zlib1g 1:1.2.13"]
    assert describe_changes(old, old) == []

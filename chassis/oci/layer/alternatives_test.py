"""Alternatives: what is understood of scripts, and which links that makes."""

from __future__ import annotations

import pytest

from chassis.oci.layer.alternatives import Alternative, Link, links_of, read_alternatives

_AWK = Alternative(
    Link("usr/bin/awk", "awk", "usr/bin/mawk"),
    5,
    (Link("usr/share/man/man1/awk.1.gz", "awk.1.gz", "usr/share/man/man1/mawk.1.gz"),),
)
_SCRIPTS = {
    "as debhelper writes it": (
        """#!/bin/sh
set -e
if [ "$1" = "configure" ] || [ "$1" = "abort-upgrade" ]; then
\tupdate-alternatives --install /usr/bin/awk awk /usr/bin/mawk 5 \\
\t  --slave /usr/share/man/man1/awk.1.gz awk.1.gz \\
\t  /usr/share/man/man1/mawk.1.gz
fi
""",
        [_AWK],
    ),
    "quiet, by its path, ending in more commands": (
        "/usr/bin/update-alternatives --quiet --install /usr/bin/a 'a' \"/opt/a\" 10 >/dev/null || true; exit 0",
        [Alternative(Link("usr/bin/a", "a", "opt/a"), 10)],
    ),
    "before the merged /usr": (
        "update-alternatives --install /bin/nc nc /bin/nc.openbsd 50",
        [Alternative(Link("usr/bin/nc", "nc", "usr/bin/nc.openbsd"), 50)],
    ),
    "two on one line": (
        "update-alternatives --install /a a /b 1 && update-alternatives --install /c c /d -2",
        [Alternative(Link("a", "a", "b"), 1), Alternative(Link("c", "c", "d"), -2)],
    ),
    "computed": ('for f in a b; do update-alternatives --install /usr/bin/$f $f "/opt/$f" 10; done', []),
    "removed": ("update-alternatives --remove awk /usr/bin/mawk", []),
    "a comment": ("# update-alternatives --install /a a /b 1", []),
    "no priority": ("update-alternatives --install /a a /b high", []),
    "relative": ("update-alternatives --install a a /b 1", []),
    "a name that is a path": ("update-alternatives --install /a ../../a /b 1", []),
    "an open quotation": ('echo "update-alternatives --install /a a /b 1', []),
}


@pytest.mark.parametrize("case", _SCRIPTS)
def test_commands_are_read_where_their_words_stand_there(case: str) -> None:
    script, expected = _SCRIPTS[case]
    assert list(read_alternatives(script)) == expected


def test_the_highest_priority_is_linked_with_its_followers() -> None:
    gawk = Alternative(Link("usr/bin/awk", "awk", "usr/bin/gawk"), 10, (Link("usr/bin/nawk", "nawk", "usr/bin/gawk"),))
    there = {"usr/bin/mawk", "usr/bin/gawk", "usr/share/man/man1/mawk.1.gz"}
    assert links_of([_AWK, gawk], there.__contains__) == {
        "etc/alternatives/awk": "/usr/bin/gawk",
        "etc/alternatives/nawk": "/usr/bin/gawk",
        "usr/bin/awk": "/etc/alternatives/awk",
        "usr/bin/nawk": "/etc/alternatives/nawk",
    }


def test_what_is_not_there_is_no_alternative_and_what_is_there_stays() -> None:
    gone = Alternative(Link("usr/bin/awk", "awk", "usr/bin/gawk"), 10)
    there = {"usr/bin/mawk"}
    assert links_of([gone, _AWK], there.__contains__) == {
        "etc/alternatives/awk": "/usr/bin/mawk",
        "usr/bin/awk": "/etc/alternatives/awk",
    }
    assert links_of([_AWK], {"usr/bin/mawk", "usr/bin/awk"}.__contains__) == {}


def test_of_equal_priorities_the_first_stays() -> None:
    one, other = (Alternative(Link("a", "a", target), 1) for target in ("b", "c"))
    assert links_of([one, other], {"b", "c"}.__contains__)["etc/alternatives/a"] == "/b"

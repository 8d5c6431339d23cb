"""Finds paths of the build machine in files that are read on the device."""

from __future__ import annotations

import re

# Where people and build services keep their work, and what Bazel's own directories are called. /tmp is left out: a
# program names it for its own use.
_PREFIXES = (
    b"/home/",
    b"/root/",
    b"/Users/",
    b"/builds/",
    b"/buildkite/",
    b"/jenkins/",
    b"/github/workspace/",
)
_MARKS = (b"/bazel-out/", b"/execroot/", b"/.cache/bazel/", b"/processwrapper-sandbox/", b"/linux-sandbox/")
_PATH = re.compile(rb"(?<![\w./~-])(/[\w.@+~%-]+){2,}")
_BEFORE = 256
_AFTER = 256


def build_paths_in(content: bytes, most: int = 3) -> tuple[str, ...]:
    """The first few distinct absolute paths of a build machine in a text or a pickle, in order."""
    found: dict[str, None] = {}
    for mark in (*_PREFIXES, *_MARKS):
        start = 0
        while len(found) < most and (at := content.find(mark, start)) >= 0:
            start = at + len(mark)
            if path := _around(content, at, mark in _PREFIXES):
                found[path] = None
    return tuple(found)


def _around(content: bytes, at: int, begins: bool) -> str:
    """The absolute path that the mark at `at` begins, or is a part of."""
    first = at if begins else max(0, at - _BEFORE)
    # One byte more on the left shows whether the path begins here; `https://host/home/x` has none.
    window = content[max(0, first - 1) : at + _AFTER]
    offset = at - max(0, first - 1)
    for match in _PATH.finditer(window):
        if match.start() <= offset < match.end() and (not begins or match.start() == offset):
            return match.group().decode("ascii", "replace")
    return ""

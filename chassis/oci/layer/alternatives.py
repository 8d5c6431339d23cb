"""Debian's alternatives: the links that `update-alternatives` would make for what packages' scripts install.

No script runs. A command is taken from the text of a `postinst` if it is spelled out there, which is how
debhelper writes it (dh_installalternatives(1)); one whose words the script computes says nothing here. Of the
alternatives of a name the one of the highest priority is linked, update-alternatives(1)'s automatic mode.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from chassis.oci.layer.debian_paths import merged

DIRECTORY = "etc/alternatives"
_PROGRAM = re.compile(r"(/usr/bin/|/usr/sbin/)?update-alternatives")
_NAME = re.compile(r"[^/\s]+")
_COMPUTED = re.compile(r"[$`*?\[]")
_PUNCTUATION = "();<>|&"


@dataclass(frozen=True, slots=True)
class Link:
    """A generic name, `/usr/bin/awk`, known as `awk`, for a file; paths without the leading slash, on a merged /usr."""

    path: str
    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Alternative:
    """One of the files that a link may lead to, and what is linked with it."""

    link: Link
    priority: int
    followers: tuple[Link, ...] = field(default=())


def read_alternatives(script: str) -> Iterator[Alternative]:
    """Yields what a maintainer script installs."""
    for line in script.replace("\\\n", " ").splitlines():
        if "update-alternatives" not in line:
            continue
        words = _words(line)
        starts = [number for number, word in enumerate(words) if _PROGRAM.fullmatch(word)]
        for start in starts:
            command = list(takewhile(lambda word: word.strip(_PUNCTUATION) != "", words[start + 1 :]))
            if found := _installed(command):
                yield found


def links_of(alternatives: Iterable[Alternative], there: Callable[[str], bool]) -> dict[str, str]:
    """Path to target of the links to make; `there` says whether the image has a path, which may be a link itself.

    A file that is missing is not an alternative, and a path that a package has is left as it is.
    """
    best: dict[str, Alternative] = {}
    for alternative in alternatives:
        other = best.get(alternative.link.name)
        if there(alternative.link.target) and (other is None or alternative.priority > other.priority):
            best[alternative.link.name] = alternative
    links = {}
    for alternative in best.values():
        for link in (alternative.link, *alternative.followers):
            if there(link.target) and not there(link.path):
                links[link.path] = f"/{DIRECTORY}/{link.name}"
                links[f"{DIRECTORY}/{link.name}"] = f"/{link.target}"
    return dict(sorted(links.items()))


def _words(line: str) -> list[str]:
    parts = shlex.shlex(line, posix=True, punctuation_chars=_PUNCTUATION)
    parts.whitespace_split = True
    try:
        return list(parts)
    except ValueError:  # A quotation that ends on another line.
        return []


def _installed(words: list[str]) -> Alternative | None:
    if "--install" not in words or any(_COMPUTED.search(word) for word in words):
        return None
    words = words[words.index("--install") + 1 :]
    if len(words) < 4 or not words[3].lstrip("-").isdigit() or (link := _link(*words[:3])) is None:
        return None
    followers = []
    rest = words[4:]
    while rest[:1] == ["--slave"] and len(rest) >= 4:
        if (follower := _link(*rest[1:4])) is not None:
            followers.append(follower)
        rest = rest[4:]
    return Alternative(link, int(words[3]), tuple(followers))


def _link(path: str, name: str, target: str) -> Link | None:
    if not path.startswith("/") or not target.startswith("/") or not _NAME.fullmatch(name):
        return None
    return Link(merged(path[1:]), name, merged(target[1:]))

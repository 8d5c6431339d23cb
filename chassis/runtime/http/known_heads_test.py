"""A head that was read before is read as it was the first time, wherever what comes is cut."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from chassis.runtime.core.budget import Budget
from chassis.runtime.http.known_heads import Head, KnownHeads
from chassis.runtime.http.message import Request, Response
from chassis.runtime.http.reader import Reader
from chassis.runtime.limits import Limits


def head(line: str, *headers: str) -> bytes:
    return "\r\n".join([line, "Host: x", *headers, "", ""]).encode()


_POST = "POST /v2/models/m/infer HTTP/1.1"
REQUESTS = [
    head(_POST, "Content-Type: application/json", "Content-Length: 5") + b"first",
    head(_POST, "Content-Type: application/json", "Content-Length: 5") + b"other",
    head(_POST, "content-length: 4", "Accept: */*") + b"\r\n\r\n",
    head(_POST, "Content-Length: 0"),
    head(_POST, "Content-Length: 1100") + b"x" * 1100,
    head(_POST, "Content-Length: 2", "X-Request-Id: mine") + b"{}",
    head(_POST, "Transfer-Encoding: chunked") + b"2\r\nab\r\n0\r\n\r\n",
    head(_POST, "Accept: a", "Accept: b", "Content-Length: 1") + b"1",
    head("GET /v2/health/ready?verbose HTTP/1.1"),
    b"\r\n" + head("GET /v2/health/ready HTTP/1.1"),
    head("GET / HTTP/1.1", "Upgrade: h2c", "Connection: Upgrade"),
    head("GET / HTTP/1.0", "Connection: keep-alive"),
]
LAST = [head("GET / HTTP/1.1", "Connection: close"), head("GET / HTTP/1.0"), head("GET /")[:-2], b"nothing\r\n\r\n"]


class _Unable(KnownHeads):
    """Knows nothing ever, so that the parser reads all."""

    def learn(self, content: bytes, head: Head) -> None:
        """Keeps nothing."""


class _Hit(KnownHeads):
    """Counts heads that it knew."""

    hits = 0

    def get(self, key: bytes, default: None = None) -> Head | None:  # type: ignore[override]
        found = super().get(key, default)
        self.hits += found is not None
        return found


def read(known: KnownHeads, pieces: list[bytes], ahead: Sequence[int] = (0,)) -> list[object]:
    """What a reader makes of `pieces`: requests, or the status of a refusal; at last the bytes of its budget.

    `ahead` says how many requests wait when the first comes, the second and so on, again and again.
    """
    found: list[object] = []
    budget = Budget(1 << 30)

    def take(request: Request | None, refusal: Response | None, keep_alive: bool, old: bool) -> None:
        if request is not None:
            shown = (request.method, request.path, dict(request.headers), bytes(request.take_body()), request.coding)
            found.append((*shown, request.cost, keep_alive, old))
        elif refusal is not None:
            found.append(refusal.status)

    reader = Reader(Limits(), budget, take, lambda: None, lambda: ahead[len(found) % len(ahead)], known)
    for piece in pieces:
        while piece:
            piece = reader.feed(piece)
    return [*found, budget.taken]


def cut(content: bytes, chance: random.Random) -> list[bytes]:
    """`content` in pieces, mostly as requests come: whole."""
    places = sorted(chance.sample(range(1, len(content)), chance.choice([0, 0, 1, 5])))
    return [content[start:end] for start, end in zip([0, *places], [*places, None], strict=True)]


@pytest.mark.parametrize("seed", range(40))
def test_a_known_head_changes_nothing(seed: int) -> None:
    chance = random.Random(seed)
    known = _Hit()
    for _ in range(20):
        pieces = []
        for request in chance.choices(REQUESTS, k=chance.randrange(1, 12)):
            pieces += cut(request, chance)
        if chance.random() < 0.5:
            # Behind the last of a connection nothing is read, known or not.
            pieces += [chance.choice(LAST), chance.choice(REQUESTS)]
        if chance.random() < 0.5:
            pieces = [b"".join(pieces)]
        ahead = chance.choice([[0], [0, 0, 1], [0, 2, 1, 1]])
        assert read(known, pieces, ahead) == read(_Unable(), pieces, ahead)
    assert known.hits


def test_of_very_many_heads_the_latest_are_kept() -> None:
    known = KnownHeads()
    counts = []
    for number in range(1000):
        read(known, [head(f"GET /{number} HTTP/1.1")])
        counts.append(len(known))
    assert counts == sorted(counts)
    count = counts[-1]
    assert 0 < count < 200
    assert [*known] == [head(f"GET /{number} HTTP/1.1") for number in range(1000 - count, 1000)]
    read(known, [head(f"GET /{1000 - count} HTTP/1.1")], ahead=[1])  # which is not taken from what is known
    assert len(known) == count


@pytest.mark.parametrize("header", ["Authorization: Bearer secret", "Cookie: a", "X-Request-Id: a", "traceparent: a"])
def test_no_secret_and_no_name_is_kept(header: str) -> None:
    known = KnownHeads()
    read(known, [head("GET / HTTP/1.1", header)])
    assert not known

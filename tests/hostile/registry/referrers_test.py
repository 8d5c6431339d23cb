"""Lists of referrers that lie, are endless, or fill the memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chassis.oci.descriptor import MEDIA_TYPE_INDEX
from chassis.oci.digest import of_bytes
from chassis.oci.referrer import ReferrerError, referrers
from chassis.oci.registry.errors import AnswerError
from tests.hostile.registry.client_of import client_of
from tests.hostile.registry.hostile_server import Asked, HostileServer, peak, registry_that, reply

MIB = 1 << 20
DIGEST = of_bytes(b"x")
_MAX_GROWTH = 64 * MIB


def page(*entries: dict[str, object]) -> bytes:
    """A page of referrers: an index."""
    return json.dumps({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": entries}).encode()


def test_referrers_without_end_end(tmp_path: Path) -> None:
    body = page()

    def script(asked: Asked) -> bytes:
        return reply(200, body, Link=f'<{asked.path.partition("?")[0]}?n={len(server.requests)}>; rel="next"')

    with HostileServer(registry_that(script)) as server, pytest.raises(AnswerError, match="more than 100 pages"):
        referrers(client_of(server.address, tmp_path), DIGEST)
    assert len(server.requests) < 110


def test_referrers_by_the_million_are_refused(tmp_path: Path) -> None:
    entry = {"mediaType": "a/b", "digest": DIGEST, "size": 1}
    body = page(*[entry] * 20_000)
    with HostileServer(registry_that(lambda asked: reply(200, body))) as server, pytest.raises(ReferrerError):
        referrers(client_of(server.address, tmp_path), DIGEST)


def test_pages_of_referrers_have_an_end_in_bytes_too(tmp_path: Path) -> None:
    body = page() + b" " * (3 * MIB)

    def script(asked: Asked) -> bytes:
        return reply(200, body, Link=f'<{asked.path.partition("?")[0]}?n={len(server.requests)}>; rel="next"')

    before = peak()
    with HostileServer(registry_that(script)) as server, pytest.raises(AnswerError, match="more than 16777216 bytes"):
        referrers(client_of(server.address, tmp_path), DIGEST)
    assert len(server.requests) < 10
    assert peak() - before < _MAX_GROWTH


def test_referrers_on_several_pages_are_one_list(tmp_path: Path) -> None:
    def script(asked: Asked) -> bytes:
        number = int(asked.path.partition("?n=")[2] or 0)
        entry = {"mediaType": "a/b", "digest": of_bytes(bytes([number])), "size": 1}
        following = {"Link": f'<{asked.path.partition("?")[0]}?n={number + 1}>; rel="next"'} if number < 2 else {}
        return reply(200, page(entry), **following)

    with HostileServer(registry_that(script)) as server:
        listed = referrers(client_of(server.address, tmp_path), DIGEST)
    assert [entry["digest"] for entry in listed] == [of_bytes(bytes([number])) for number in range(3)]

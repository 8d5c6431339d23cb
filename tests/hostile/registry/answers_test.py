"""Registries whose answers are too large, too slow, endless, or something else than was asked for."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from chassis.oci.descriptor import MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, Descriptor, Platform
from chassis.oci.digest import of_bytes
from chassis.oci.layout_reader import DOCKER_INDEX, DOCKER_MANIFEST
from chassis.oci.pull import PullError, pull_image
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.errors import AnswerError, RegistryError, TooSlowError
from tests.hostile.registry.client_of import client_of, transport_to
from tests.hostile.registry.hostile_server import Asked, HostileServer, Script, peak, registry_that, reply

MIB = 1 << 20
DIGEST = of_bytes(b"x")
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
_MAX_GROWTH = 64 * MIB


def chunks(pieces: Iterable[bytes]) -> Iterable[bytes]:
    """Pieces of a chunked body."""
    return (b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


_ENDLESS: dict[str, Callable[[HostileServer], Iterable[bytes]]] = {
    "body": lambda server: itertools.chain([CHUNKED], chunks(itertools.repeat(b"x" * 65536))),
    "body without a length": lambda server: itertools.chain([OK, b"\r\n"], itertools.repeat(b"x" * 65536)),
    "claimed length": lambda server: itertools.chain(
        [OK, b"Content-Length: 9000000000000\r\n\r\n"], itertools.repeat(b"x" * 65536)
    ),
    "headers": lambda server: itertools.chain([OK], itertools.repeat(b"X-Header: " + b"x" * 1000 + b"\r\n")),
    "header": lambda server: itertools.chain([OK, b"X-Header: "], itertools.repeat(b"x" * 65536)),
    "status": lambda server: itertools.chain([b"HTTP/1.1 200 "], itertools.repeat(b"x" * 65536)),
    "size of a chunk": lambda server: itertools.chain([CHUNKED], itertools.repeat(b"0" * 65536)),
    "trailers": lambda server: itertools.chain([CHUNKED, b"0\r\n"], itertools.repeat(b"X: " + b"x" * 1000 + b"\r\n")),
    "continues": lambda server: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
}


@pytest.mark.parametrize("kind", _ENDLESS)
def test_an_answer_without_end_ends(tmp_path: Path, kind: str) -> None:
    before, begin = peak(), time.monotonic()
    with HostileServer(registry_that(lambda asked: _ENDLESS[kind](server))) as server:
        client = client_of(server.address, tmp_path, transport_to(seconds=1.0))
        with pytest.raises(RegistryError):
            client.manifest(DIGEST)
    assert time.monotonic() - begin < 15
    assert peak() - before < _MAX_GROWTH


_DRIPS: dict[str, Callable[[], Iterable[bytes]]] = {
    "status": lambda: (bytes([byte]) for byte in OK * 100),
    "headers": lambda: itertools.chain([OK], itertools.repeat(b"X")),
    "body": lambda: itertools.chain([OK, b"Content-Length: 100000\r\n\r\n"], itertools.repeat(b"x")),
    "chunks": lambda: itertools.chain([CHUNKED], chunks(itertools.repeat(b"x"))),
    "trailers": lambda: itertools.chain([CHUNKED, b"0\r\n"], itertools.repeat(b"X: y\r\n")),
    "continues": lambda: itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("kind", _DRIPS)
def test_an_answer_that_drips_ends_and_is_not_asked_for_again(tmp_path: Path, kind: str) -> None:
    with HostileServer(registry_that(lambda asked: server.drip(_DRIPS[kind](), 0.05))) as server:
        client = client_of(server.address, tmp_path, transport_to(seconds=0.5))
        begin = time.monotonic()
        with pytest.raises(TooSlowError, match=r"took over 0\.5 s"):
            client.manifest(DIGEST)
        assert time.monotonic() - begin < 5
        assert len(server.requests) == 2


def test_a_blob_that_drips_ends_and_leaves_nothing(tmp_path: Path) -> None:
    data = b"x" * MIB
    head = OK + b"Content-Length: %d\r\n\r\n" % len(data)
    answer = itertools.chain([head, data[: 600 << 10]], itertools.repeat(b"x"))
    with HostileServer(registry_that(lambda asked: server.drip(answer, 0.05))) as server:
        client = client_of(server.address, tmp_path, transport_to(seconds=0.5))
        with pytest.raises(TooSlowError, match="262144 bytes of a body took over"):
            client.fetch_blob(Descriptor("x", of_bytes(data), len(data)), tmp_path / "blob")
    assert [path.name for path in tmp_path.iterdir()] == [".docker"]


def test_a_blob_that_comes_slower_than_one_answer_may_take_arrives(tmp_path: Path) -> None:
    """The time is one for each part of a body, not for a layer of gigabytes."""
    data = b"x" * (256 << 10)
    pieces = [OK + b"Content-Length: %d\r\n\r\n" % len(data), *(data[n::8] for n in range(8))]
    with HostileServer(registry_that(lambda asked: server.drip(pieces, 0.2))) as server:
        client = client_of(server.address, tmp_path, transport_to(seconds=1.0, least_bytes=32 << 10))
        client.fetch_blob(Descriptor("x", of_bytes(data), len(data)), tmp_path / "blob")
    assert (tmp_path / "blob").read_bytes() == data


def test_a_registry_that_breaks_off_after_every_byte_ends_the_download(tmp_path: Path) -> None:
    data = bytes(range(256)) * 4

    def script(asked: Asked) -> Iterable[bytes]:
        start = int(asked.headers.get("range", "bytes=0-")[6:-1])
        total = len(data)
        yield b"HTTP/1.1 206 P\r\nContent-Range: bytes %d-%d/%d\r\n" % (start, total - 1, total)
        yield b"Content-Length: %d\r\n\r\n" % (total - start) + data[start : start + 1]

    with HostileServer(registry_that(script)) as server:
        client = client_of(server.address, tmp_path)
        with pytest.raises(RegistryError, match=r"connection broke|sent 3 bytes"):
            client.fetch_blob(Descriptor("x", of_bytes(data), len(data)), tmp_path / "blob")
    assert len(server.requests) == 4


_DATA = b"a layer" * 1000
_BODIES: dict[str, Callable[[], bytes | Iterable[bytes]]] = {
    "longer": lambda: reply(200, _DATA + b"x"),
    "shorter": lambda: reply(200, _DATA[:-1]),
    "empty": lambda: reply(200),
    "others": lambda: reply(200, b"b" + _DATA[1:]),
    "endless": lambda: itertools.chain([CHUNKED], chunks(itertools.repeat(b"x" * 65536))),
    "claims less": lambda: reply(200, _DATA, Content_Length=str(len(_DATA) - 1)),
    "a range": lambda: reply(206, _DATA[10:], Content_Range=f"bytes 10-{len(_DATA) - 1}/{len(_DATA)}"),
    "compressed": lambda: reply(200, gzip.compress(bytes(100 * MIB)), Content_Encoding="gzip"),
}


@pytest.mark.parametrize("kind", _BODIES)
def test_a_blob_that_is_another_leaves_nothing(tmp_path: Path, kind: str) -> None:
    before = peak()
    with HostileServer(registry_that(lambda asked: _BODIES[kind]())) as server:
        client = client_of(server.address, tmp_path)
        with pytest.raises(RegistryError, match=of_bytes(_DATA)):
            client.fetch_blob(Descriptor("x", of_bytes(_DATA), len(_DATA)), tmp_path / "blob")
    assert [path.name for path in tmp_path.iterdir()] == [".docker"]
    assert peak() - before < _MAX_GROWTH


@pytest.mark.parametrize(
    "length", [f"{len(_DATA) + 1}", "-1", "x", "7\r\nContent-Length: 9", "9" * 5000, "0x10", "1_0"]
)
def test_a_lie_about_the_length_of_a_blob_makes_no_other_blob(tmp_path: Path, length: str) -> None:
    """The bytes may be right all the same, as the digest tells."""
    file = tmp_path / "blob"
    with HostileServer(registry_that(lambda asked: [reply(200, _DATA, Content_Length=length)])) as server:
        try:
            client_of(server.address, tmp_path).fetch_blob(Descriptor("x", of_bytes(_DATA), len(_DATA)), file)
        except RegistryError:
            assert not file.exists()
        else:
            assert file.read_bytes() == _DATA
    assert {path.name for path in tmp_path.iterdir()} <= {".docker", "blob"}


def test_what_follows_an_answer_is_no_answer_to_the_next_request(tmp_path: Path) -> None:
    """What comes after the length that a blob's answer claims looks like an answer, too."""
    manifest = json.dumps(image()).encode()

    def script(asked: Asked) -> bytes:
        if "blobs" in asked.path:
            return reply(200, _DATA) + reply(200, b"{}", Docker_Content_Digest=of_bytes(b"forged"))
        return reply(200, b"", Docker_Content_Digest=of_bytes(manifest))

    with HostileServer(registry_that(script)) as server:
        client = client_of(server.address, tmp_path)
        client.fetch_blob(Descriptor("x", of_bytes(_DATA), len(_DATA)), tmp_path / "blob")
        assert client.manifest_digest("latest") == of_bytes(manifest)


def image(**fields: object) -> dict[str, Any]:
    """An image manifest, with some fields as told."""
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST, "size": 1}
    return {"schemaVersion": 2, "mediaType": MEDIA_TYPE_MANIFEST, "config": config, "layers": []} | fields


def index(**fields: object) -> dict[str, Any]:
    """An index, with some fields as told."""
    return {"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": []} | fields


_NO_TYPE = image()
del _NO_TYPE["mediaType"]
_WRONG_DOCUMENTS: dict[str, tuple[object, str]] = {
    "an index that the header calls a manifest": (index(), MEDIA_TYPE_MANIFEST),
    "a manifest that the header calls an index": (image(), MEDIA_TYPE_INDEX),
    "Docker's type in the header": (image(), DOCKER_MANIFEST),
    "Docker's list in the header": (index(), DOCKER_INDEX),
    "both at once": (image(manifests=[]), MEDIA_TYPE_MANIFEST),
    "both at once, an index by its type": (index(layers=[], config={}), MEDIA_TYPE_INDEX),
    "an index by its type alone": (image(mediaType=MEDIA_TYPE_INDEX), MEDIA_TYPE_INDEX),
    "an image by its type alone": (index(mediaType=MEDIA_TYPE_MANIFEST), MEDIA_TYPE_MANIFEST),
    "no type at all": (_NO_TYPE, ""),
    "a page": (image(), "text/html"),
    "schema 1": (image(), "application/vnd.docker.distribution.manifest.v1+prettyjws"),
    "a type that is unknown": (image(mediaType="application/vnd.oci.image.config.v1+json"), MEDIA_TYPE_MANIFEST),
    "a type that is a list": (image(mediaType=[MEDIA_TYPE_MANIFEST]), MEDIA_TYPE_MANIFEST),
    "a list": ([image()], MEDIA_TYPE_MANIFEST),
}


@pytest.mark.parametrize("kind", _WRONG_DOCUMENTS)
def test_a_document_that_is_not_what_it_says_is_refused(tmp_path: Path, kind: str) -> None:
    document, media_type = _WRONG_DOCUMENTS[kind]
    data = json.dumps(document).encode()
    with (
        HostileServer(registry_that(lambda asked: reply(200, data, Content_Type=media_type))) as server,
        pytest.raises(AnswerError, match=of_bytes(data)),
    ):
        client_of(server.address, tmp_path).manifest(of_bytes(data))


@pytest.mark.parametrize("media_type", [MEDIA_TYPE_MANIFEST, f"{MEDIA_TYPE_MANIFEST}; charset=utf-8", "", "text/plain"])
def test_a_document_that_says_what_it_is_may_come_from_a_plain_file_server(tmp_path: Path, media_type: str) -> None:
    data = json.dumps(image()).encode()
    with HostileServer(registry_that(lambda asked: reply(200, data, Content_Type=media_type))) as server:
        client = client_of(server.address, tmp_path)
        assert client.manifest(of_bytes(data)) == (MEDIA_TYPE_MANIFEST, data)


_BAD_JSON = {
    "deep": b"[" * 1_000_000,
    "deep objects": b'{"a":' * 500_000,
    "long number": b'{"schemaVersion": ' + b"9" * 1_000_000 + b"}",
    "truncated": json.dumps(image()).encode()[:-1],
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("kind", _BAD_JSON)
def test_a_document_that_is_no_json_is_refused_in_no_time(tmp_path: Path, kind: str) -> None:
    data = _BAD_JSON[kind]
    begin = time.process_time()
    with (
        HostileServer(registry_that(lambda asked: reply(200, data, Content_Type=MEDIA_TYPE_MANIFEST))) as server,
        pytest.raises(AnswerError, match="is not JSON"),
    ):
        client_of(server.address, tmp_path).manifest(of_bytes(data))
    assert time.process_time() - begin < 5


def test_a_document_of_another_digest_is_refused(tmp_path: Path) -> None:
    with (
        HostileServer(registry_that(lambda asked: reply(200, json.dumps(image()).encode()))) as server,
        pytest.raises(AnswerError, match="with a manifest of digest"),
    ):
        client_of(server.address, tmp_path).manifest(DIGEST)


def test_a_digest_that_is_another_than_asked_for_is_refused(tmp_path: Path) -> None:
    with (
        HostileServer(registry_that(lambda asked: reply(200, Docker_Content_Digest=of_bytes(b"y")))) as server,
        pytest.raises(AnswerError, match="says that its digest is"),
    ):
        client_of(server.address, tmp_path).manifest_digest(DIGEST)


@pytest.mark.parametrize("said", ["sha256:0", "md5:" + "0" * 32, "../../etc/passwd", "sha256:" + "g" * 64])
def test_a_digest_that_is_none_is_refused(tmp_path: Path, said: str) -> None:
    with (
        HostileServer(registry_that(lambda asked: reply(200, Docker_Content_Digest=said))) as server,
        pytest.raises(Exception, match="digest"),
    ):
        client_of(server.address, tmp_path).manifest_digest("latest")


def _registry_of(documents: dict[str, bytes], blobs: dict[str, bytes]) -> Script:
    def script(asked: Asked) -> bytes:
        kind, _, name = asked.path.rpartition("/")
        held = documents if kind.endswith("manifests") else blobs
        return reply(200, held[name]) if name in held else reply(404)

    return registry_that(script)


def _entry(data: bytes, **fields: object) -> dict[str, Any]:
    platform = {"os": "linux", "architecture": "amd64"}
    entry = {"mediaType": MEDIA_TYPE_MANIFEST, "digest": of_bytes(data), "size": len(data), "platform": platform}
    return entry | fields


def _pull(tmp_path: Path, documents: list[bytes], blobs: list[bytes]) -> None:
    """Pulls the last of the documents."""
    script = _registry_of({of_bytes(data): data for data in documents}, {of_bytes(data): data for data in blobs})
    with HostileServer(script) as server:
        client: RegistryClient = client_of(server.address, tmp_path)
        pull_image(client, of_bytes(documents[-1]), Platform("amd64"), tmp_path)


@pytest.mark.parametrize(
    ("entry", "defect"),
    [
        ({"size": 7}, "of 7 bytes"),
        ({"mediaType": DOCKER_MANIFEST}, f"as {DOCKER_MANIFEST}"),
        ({"mediaType": MEDIA_TYPE_INDEX}, f"as {MEDIA_TYPE_INDEX}"),
    ],
    ids=["size", "type", "index"],
)
def test_an_index_that_lies_of_its_images_is_refused(tmp_path: Path, entry: dict[str, Any], defect: str) -> None:
    held = json.dumps(image()).encode()
    top = json.dumps(index(manifests=[_entry(held, **entry)])).encode()
    with pytest.raises(PullError, match=re.escape(defect)):
        _pull(tmp_path, [held, top], [b"x"])


def test_an_index_in_an_index_is_no_image(tmp_path: Path) -> None:
    inner = json.dumps(index()).encode()
    top = json.dumps(index(manifests=[_entry(inner, mediaType=MEDIA_TYPE_INDEX)])).encode()
    with pytest.raises(PullError, match="an image manifest or index is expected"):
        _pull(tmp_path, [inner, top], [])


def test_an_image_of_more_layers_than_run_is_refused(tmp_path: Path) -> None:
    layer = {"mediaType": "x", "digest": DIGEST, "size": 1}
    with pytest.raises(PullError, match="has 20000 layers"):
        _pull(tmp_path, [json.dumps(image(layers=[layer] * 20_000)).encode()], [b"x"])


def test_a_configuration_larger_than_documents_are_is_not_fetched(tmp_path: Path) -> None:
    config = image()["config"] | {"size": 1 << 40}
    with pytest.raises(PullError, match=f"{1 << 40} bytes"):
        _pull(tmp_path, [json.dumps(image(config=config)).encode()], [b"x"])


@pytest.mark.parametrize("size", [-1, "1", None, 1.5, True])
def test_a_size_that_is_none_is_refused(tmp_path: Path, size: object) -> None:
    with pytest.raises(Exception, match="size"):
        _pull(tmp_path, [json.dumps(image(config=image()["config"] | {"size": size})).encode()], [b"x"])


@pytest.mark.parametrize(
    "location", ["{own}", "file:///etc/passwd", "gopher://127.0.0.1/", "http://ann:pw@127.0.0.1/", "http://[::1", "\\x"]
)
def test_redirects_that_lead_nowhere_end(tmp_path: Path, location: str) -> None:
    def script(asked: Asked) -> bytes:
        return reply(307, Location=location.format(own=f"{server.url}{asked.path}"))

    with HostileServer(registry_that(script)) as server, pytest.raises(AnswerError):
        client_of(server.address, tmp_path).manifest(DIGEST)
    assert len(server.requests) < 10


def test_headers_that_cannot_be_read_write_nothing_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    answer = b"HTTP/1.1 200 OK\r\nLoca\x0fb: c\r\nAuthorization: Basic of-somebody\r\nContent-Length: 2\r\n\r\n{}"
    with HostileServer(lambda asked: answer) as server, contextlib.suppress(RegistryError):
        client_of(server.address, tmp_path, transport_to(0.5)).manifest_digest("latest")
    assert server.requests
    assert caplog.records == []

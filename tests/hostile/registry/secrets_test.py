"""Registries and token servers that try to get credentials to where they do not belong."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from chassis.oci.descriptor import Descriptor
from chassis.oci.digest import of_bytes
from chassis.oci.registry.auth import Authenticator
from chassis.oci.registry.challenge import parse_challenges
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.errors import AuthenticationError, RegistryError
from chassis.oci.registry.reference import parse_repository
from chassis.oci.registry.request import Response
from tests.hostile.registry.client_of import BASIC, SECRETS, client_of, store_for, transport_to
from tests.hostile.registry.hostile_server import Asked, HostileServer, Script, reply

DIGEST = of_bytes(b"x")
TOKEN = reply(200, json.dumps({"token": "opaque", "expires_in": 300}).encode())


@pytest.fixture
def thief() -> Iterator[HostileServer]:
    """Whoever gets a secret that is not for it. It asks for one, too."""

    def script(asked: Asked) -> bytes:
        return reply(401, WWW_Authenticate=f'Bearer realm="{server.url}/token",service="thief"')

    with HostileServer(script) as server:
        yield server


def stolen(thief: HostileServer) -> list[Asked]:
    """The requests that brought the thief a secret."""
    return [
        asked
        for asked in thief.requests
        if asked.has_log_in or any(secret in asked.path or secret.encode() in asked.body for secret in SECRETS)
    ]


def bearer_registry(realm: str) -> Script:
    """A registry that wants a token of `realm`, and has nothing."""

    def script(asked: Asked) -> bytes:
        if asked.headers.get("authorization", "").startswith("Bearer "):
            return reply(404)
        return reply(401, WWW_Authenticate=f'Bearer realm="{realm}",service="r"')

    return script


@pytest.mark.parametrize("identity", [True, False], ids=["identity token", "password"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_token_server_redirects_no_secret_to_another_origin(
    thief: HostileServer, tmp_path: Path, status: int, identity: bool
) -> None:
    with (
        HostileServer(lambda asked: reply(status, Location=f"{thief.url}{asked.path}")) as tokens,
        HostileServer(bearer_registry(f"{tokens.url}/token")) as registry,
    ):
        client = client_of(registry.address, tmp_path, identity=identity)
        with pytest.raises(AuthenticationError, match=r"redirects a request|token server .* answers 30"):
            client.manifest_digest("latest")
        assert tokens.requests
    assert thief.requests == []


def test_a_token_server_may_redirect_within_its_origin(tmp_path: Path) -> None:
    def tokens_script(asked: Asked) -> bytes:
        if asked.path.startswith("/v2"):
            return TOKEN
        return reply(307, Location=f"http://127.0.0.1:{tokens.port}/v2/token?x=1")

    with HostileServer(tokens_script) as tokens, HostileServer(bearer_registry(f"{tokens.url}/token")) as registry:
        assert client_of(registry.address, tmp_path, identity=True).manifest_digest("latest") == ""
    assert [asked.method for asked in tokens.requests] == ["POST", "POST"]


def test_the_realm_that_a_registry_names_gets_the_credentials_on_whatever_host(tmp_path: Path) -> None:
    with (
        HostileServer(lambda asked: TOKEN) as tokens,
        HostileServer(bearer_registry(f"http://localhost:{tokens.port}/token")) as registry,
    ):
        assert client_of(registry.address, tmp_path).manifest_digest("latest") == ""
    assert [asked.headers["authorization"] for asked in tokens.requests] == [f"Basic {BASIC}"]


@pytest.mark.parametrize("registry", ["r.example", "8.8.8.8:5000", "[2606:4700::1111]"])
@pytest.mark.parametrize(
    "realm",
    [
        "http://tokens.example/token",
        "http://127.0.0.1:{port}/token",
        "https://127.0.0.1:{port}/token",
        "https://localhost:{port}/token",
        "https://[::ffff:127.0.0.1]:{port}/token",
        "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.5/token",
        "https://0.0.0.0:{port}/token",
        "ftp://tokens.example/token",
        "https://ann:pw@tokens.example/token",
        "https://tokens.example\\@127.0.0.1:{port}/token",
        "//tokens.example/token",
        "/token",
        "",
    ],
)
def test_realms_that_a_registry_elsewhere_may_not_name(
    thief: HostileServer, tmp_path: Path, registry: str, realm: str
) -> None:
    authenticator = Authenticator(
        parse_repository(f"{registry}/x"), transport_to(), store_for(tmp_path, registry), allow_plain_http=False
    )
    challenge = f'Bearer realm="{realm.format(port=thief.port)}",service="r"'.replace("\\", "\\\\")
    answer = Response(401, urllib3.HTTPHeaderDict({"WWW-Authenticate": challenge}), b"", f"https://{registry}/v2/")
    with pytest.raises(AuthenticationError, match="token server"):
        authenticator.challenged(answer, ("repository:x:pull",), "")
    assert thief.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirected_download_takes_no_log_in_along(thief: HostileServer, tmp_path: Path, status: int) -> None:
    def script(asked: Asked) -> bytes:
        if not asked.has_log_in:
            return reply(401, WWW_Authenticate='Basic realm="r"')
        return reply(status, Location=f"{thief.url}/manifest")

    with HostileServer(script) as registry, pytest.raises(RegistryError):
        client_of(registry.address, tmp_path).manifest(DIGEST)
    assert thief.requests
    assert stolen(thief) == []


def test_a_challenge_of_another_origin_does_not_count(thief: HostileServer, tmp_path: Path) -> None:
    """The registry knows no log-in; it sends to a server that asks for one, with a realm of its own."""

    def script(asked: Asked) -> bytes:
        if asked.path == "/v2/":
            return reply(200, b"{}")
        return reply(307, Location=f"{thief.url}{asked.path}")

    with HostileServer(script) as registry, pytest.raises(RegistryError, match="answers 401"):
        client_of(registry.address, tmp_path).manifest(DIGEST)
    assert thief.requests
    assert stolen(thief) == []


def test_an_upload_to_another_origin_takes_no_log_in_along(thief: HostileServer, tmp_path: Path) -> None:
    def script(asked: Asked) -> bytes:
        if not asked.has_log_in:
            return reply(401, WWW_Authenticate='Basic realm="r"')
        if asked.method == "POST":
            return reply(202, Location=f"{thief.url}/upload")
        return reply(404)

    file = tmp_path / "blob"
    file.write_bytes(b"x")
    with HostileServer(script) as registry, pytest.raises(RegistryError):
        _push(client_of(registry.address, tmp_path), file)
    assert thief.requests
    assert stolen(thief) == []


def test_a_page_of_referrers_at_another_origin_is_not_asked(thief: HostileServer, tmp_path: Path) -> None:
    def script(asked: Asked) -> bytes:
        if asked.path == "/v2/":
            return reply(200, b"{}")
        return reply(200, b'{"manifests":[]}', Link=f'<{thief.url}/next>; rel="next"')

    with HostileServer(script) as registry, pytest.raises(RegistryError, match="another server"):
        client_of(registry.address, tmp_path).referrers(DIGEST)
    assert thief.requests == []


def _push(client: RegistryClient, file: Path) -> str:
    data = file.read_bytes()
    return client.push_blob(Descriptor("application/octet-stream", of_bytes(data), len(data)), file, lambda count: None)


@pytest.mark.parametrize("size", [10, 2 << 20], ids=["PUT", "PATCH"])
@pytest.mark.parametrize("registry", ["r.example", "r.example:80"])
@pytest.mark.parametrize(
    "location",
    ["http://r.example/up/1", "http://r.example:80/up/1", "http://R.Example:080/up/1", "http://r.example./up/1", "1"],
)
def test_one_origin_is_one_origin_however_a_location_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: str, location: str, size: int
) -> None:
    """The registry's host exists only behind an HTTP proxy, which is the registry."""
    received: dict[str, bytes] = {"upload": b""}

    def script(asked: Asked) -> bytes:
        url = urllib.parse.urlsplit(asked.path)
        if asked.headers.get("authorization") != f"Basic {BASIC}":
            return reply(401, WWW_Authenticate='Basic realm="r"')
        if asked.method == "POST":
            return reply(202, Location=location)
        if asked.method == "PATCH":
            received["upload"] += asked.body
            return reply(202, Location=location, Range=f"0-{len(asked.body) - 1}")
        if asked.method == "PUT":
            data = received["upload"] + asked.body
            return reply(201, Docker_Content_Digest=of_bytes(data))
        return reply(404 if "/blobs/" in url.path else 200, b"{}")

    file = tmp_path / "blob"
    file.write_bytes(b"x" * size)
    with HostileServer(script) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("https_proxy", proxy.url)  # which answers a CONNECT with 401: it speaks no TLS
        monkeypatch.delenv("no_proxy", raising=False)
        client = client_of(registry, tmp_path, allow_plain_http=True, transport=transport_to())
        assert _push(client, file) == "uploaded"
    refused = [asked.path for asked in proxy.requests if asked.method in ("PUT", "PATCH") and not asked.has_log_in]
    assert refused == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"[]",
        b'{"token": 7}',
        b'{"token": ""}',
        b'{"token": "x\\r\\nX-Evil: 1"}',
        b'{"token": "x", "expires_in": 1' + b"0" * 400 + b"}",
        b'{"token": "x", "expires_in": "soon"}',
        b'{"token": "' + b"x" * (65 << 10) + b'"}',
        b"[" * 200_000,
        b'{"token": "' + b"x" * (5 << 20) + b'"}',
    ],
    ids=["empty", "text", "list", "number", "none", "header", "10^400 s", "soon", "long", "deep", "5 MB"],
)
def test_tokens_that_are_none(tmp_path: Path, body: bytes) -> None:
    with (
        HostileServer(lambda asked: reply(200, body)) as tokens,
        HostileServer(bearer_registry(f"{tokens.url}/token")) as registry,
        pytest.raises(AuthenticationError, match="token server"),
    ):
        client_of(registry.address, tmp_path).manifest_digest("latest")


@pytest.mark.parametrize("seconds", ["-1", "0", "1e308", "NaN", "Infinity", "true"])
def test_a_token_with_a_strange_end_is_used_once(tmp_path: Path, seconds: str) -> None:
    body = f'{{"token": "x", "expires_in": {seconds}}}'.encode()
    with (
        HostileServer(lambda asked: reply(200, body)) as tokens,
        HostileServer(bearer_registry(f"{tokens.url}/token")) as registry,
    ):
        assert client_of(registry.address, tmp_path).manifest_digest("latest") == ""
    assert len(tokens.requests) == 1


@pytest.mark.parametrize(
    "header",
    [
        "Bearer " * 2000,
        'Bearer realm="' + "\\" * 16000,
        "Bearer " + ",".join(f"a{number}=b" for number in range(2000)),
        "Bearer realm=" + "a" * 16000 + '"',
        "a" * 16000,
        "Bearer" + " " * 16000 + "=",
        "," * 16000,
    ],
    ids=["schemes", "backslashes", "parameters", "open", "one scheme", "spaces", "commas"],
)
def test_challenges_are_read_in_no_time(header: str) -> None:
    begin = time.process_time()
    parse_challenges(header)
    assert time.process_time() - begin < 2.0


def test_a_registry_that_never_stops_asking_ends_the_request(tmp_path: Path) -> None:
    def script(asked: Asked) -> bytes:
        return (
            reply(401, WWW_Authenticate=f'Bearer realm="{registry.url}/token"') if "token" not in asked.path else TOKEN
        )

    with HostileServer(script) as registry, pytest.raises(AuthenticationError) as caught:
        client_of(registry.address, tmp_path).manifest_digest("latest")
    assert len(registry.requests) < 10
    assert not any(secret in str(caught.value) for secret in SECRETS)


def test_messages_of_a_hostile_registry_hold_no_secret(tmp_path: Path) -> None:
    def script(asked: Asked) -> bytes:
        if not asked.has_log_in:
            return reply(401, WWW_Authenticate='Basic realm="r"')
        told = f"you sent {asked.headers['authorization']}\x1b[2J\r\nerror: forged".encode()
        return reply(403, told)

    with HostileServer(script) as registry, pytest.raises(RegistryError) as caught:
        client_of(registry.address, tmp_path).manifest_digest("latest")
    message = str(caught.value)
    assert "\x1b" not in message
    assert "\nerror: forged" not in message
    assert not any(secret in message for secret in SECRETS)


def test_nothing_is_read_before_a_registry_asks(tmp_path: Path) -> None:
    with HostileServer(lambda asked: reply(404 if "manifests" in asked.path else 200, b"{}")) as registry:
        repository = parse_repository(f"{registry.address}/x")
        store = CredentialStore({"HOME": "/nonexistent", "REGISTRY_AUTH_FILE": str(tmp_path / "never")})
        assert RegistryClient(repository, transport_to(), store).manifest_digest("latest") == ""
    assert not any(asked.has_log_in for asked in registry.requests)

"""Logging in to real registries with what people have, and keeping their secrets."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.oci.layout_reader import LayoutReader
from chassis.oci.push import MOUNTED, PushOptions, PushReport, push
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.errors import AuthenticationError, RegistryError
from chassis.oci.registry.mount_sources import MountSources
from chassis.oci.registry.reference import parse_repository
from chassis.oci.registry.transport import Backoff, Cancellation, Transport
from tests.publishing.certificates import Authority, new_authority
from tests.publishing.fault_proxy import FaultProxy, Harm, Request
from tests.publishing.push_tool import run_tool
from tests.publishing.registry_server import RegistryServer
from tests.publishing.sample_images import sample_image
from tests.publishing.token_server import TokenServer

KIB = 1 << 10
USER, PASSWORD = "ann", "se:cret"
# bcrypt of PASSWORD, cost 4
HTPASSWD = f"{USER}:$2b$04$svbfdnkpjWxSU1Ff8/WPt.kHhMsADaolARnZT.P638OpI8XXSfBqa\n"
IDENTITY = "identity-token-of-ann"
AUTH = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return new_authority()


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    folder = tmp_path_factory.mktemp("basic")
    (folder / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    with RegistryServer(folder, auth=auth) as server:
        yield server


@pytest.fixture(scope="module")
def token_server(authority: Authority) -> Iterator[TokenServer]:
    with TokenServer(authority, {USER: PASSWORD}, IDENTITY) as server:
        yield server


@pytest.fixture(scope="module")
def bearer(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, token_server: TokenServer
) -> Iterator[RegistryServer]:
    folder = tmp_path_factory.mktemp("bearer")
    certificate, _ = authority.write(folder)
    with RegistryServer(folder, auth=token_server.registry_auth(certificate)) as server:
        yield server


@pytest.fixture
def tokens(token_server: TokenServer) -> TokenServer:
    token_server.requests.clear()
    token_server.seconds = token_server.claimed = 300
    return token_server


def publish(layout: Path, repository: str, environment: dict[str, str], ca_file: Path | None = None) -> PushReport:
    cancellation = Cancellation()
    transport = Transport(backoff=Backoff(first=0.01), cancellation=cancellation, ca_file=ca_file)
    client = RegistryClient(parse_repository(repository), transport, CredentialStore(environment))
    return push(LayoutReader(layout), client, ["v1"], PushOptions(), cancellation)


def write_auth(path: Path, **document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def write_netrc(folder: Path, machine: str) -> None:
    """A netrc with the test's password for a registry."""
    (folder / ".netrc").write_text(f"machine {machine} login {USER} password {PASSWORD}\n")
    (folder / ".netrc").chmod(0o600)


def write_helper(folder: Path, name: str, script: str) -> dict[str, str]:
    """A credential helper; returns the environment that finds it."""
    folder.mkdir()
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder.parent)}


@pytest.mark.parametrize("place", ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "home", "podman", "netrc", "helper", "store"])
def test_basic_credentials_are_found_where_people_keep_them(basic: RegistryServer, tmp_path: Path, place: str) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    entry = {basic.address: {"auth": AUTH}}
    environment = {"HOME": str(tmp_path)}
    if place == "DOCKER_CONFIG":
        write_auth(tmp_path / "docker" / "config.json", auths=entry)
        environment["DOCKER_CONFIG"] = str(tmp_path / "docker")
    elif place == "REGISTRY_AUTH_FILE":
        environment["REGISTRY_AUTH_FILE"] = str(write_auth(tmp_path / "x.json", auths=entry))
    elif place == "home":
        write_auth(tmp_path / ".docker/config.json", auths={f"https://{basic.address}/v2/": {"auth": AUTH}})
    elif place == "podman":
        write_auth(tmp_path / "run/containers/auth.json", auths=entry)
        environment["XDG_RUNTIME_DIR"] = str(tmp_path / "run")
    elif place == "netrc":
        write_netrc(tmp_path, basic.address)
    else:
        answer = json.dumps({"ServerURL": "x", "Username": USER, "Secret": PASSWORD})
        script = f"read host; [ $1 = get ] && [ $host = {basic.address} ] && echo '{answer}'"
        environment = write_helper(tmp_path / "bin", "test", script)
        named = {"credHelpers": {basic.address: "test"}} if place == "helper" else {"credsStore": "test"}
        write_auth(tmp_path / ".docker/config.json", **named)
    publish(layout, f"{basic.address}/{place.lower()}", environment)


def test_without_credentials_the_places_and_the_remedy_are_told(basic: RegistryServer, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    with pytest.raises(AuthenticationError) as caught:
        publish(layout, f"{basic.address}/x", {"HOME": str(tmp_path)})
    message = str(caught.value)
    assert f"{tmp_path}/.docker/config.json" in message
    assert f"{tmp_path}/.netrc" in message
    assert f"podman login {basic.address}" in message


def test_a_wrong_password_names_its_origin_and_not_itself(basic: RegistryServer, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    wrong = base64.b64encode(b"ann:wr0ng-passw0rd").decode()
    path = write_auth(tmp_path / ".docker/config.json", auths={basic.address: {"auth": wrong}})
    with pytest.raises(AuthenticationError) as caught:
        publish(layout, f"{basic.address}/x", {"HOME": str(tmp_path)})
    message = str(caught.value)
    assert "user ann" in message
    assert str(path) in message
    assert "wr0ng" not in message
    assert wrong not in message


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("echo 'SECRET-ON-STDOUT'; exit 3", "failed with exit status 3"),
        ("echo 'SECRET-ON-STDOUT'", "is not the protocol's JSON"),
        (None, "is not on the PATH"),
    ],
)
def test_a_helper_that_fails_is_named_and_no_secret_shown(
    basic: RegistryServer, tmp_path: Path, script: str | None, word: str
) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    environment = write_helper(tmp_path / "bin", "test" if script else "other", script or "")
    write_auth(tmp_path / ".docker/config.json", credHelpers={basic.address: "test"})
    with pytest.raises(AuthenticationError) as caught:
        publish(layout, f"{basic.address}/x", environment)
    assert "docker-credential-test (named in " in str(caught.value)
    assert word in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_broken_helper_does_not_stop_a_registry_that_needs_none(tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    environment = write_helper(tmp_path / "bin", "test", f"touch {tmp_path}/was-run; exit 1")
    write_auth(tmp_path / ".docker/config.json", credsStore="test")
    with RegistryServer(tmp_path / "registry") as registry:
        publish(layout, f"{registry.address}/free", environment)
    assert not (tmp_path / "was-run").exists()


def test_tokens_are_fetched_for_a_user(bearer: RegistryServer, tokens: TokenServer, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", 10, 20, 30)
    write_auth(tmp_path / ".docker/config.json", auths={bearer.address: {"auth": AUTH}})
    publish(layout, f"{bearer.address}/user", {"HOME": str(tmp_path)})
    [(method, query, authorization)] = tokens.requests
    assert (method, query["scope"], query["account"]) == ("GET", ["repository:user:pull,push"], [USER])
    assert authorization == f"Basic {AUTH}"


def test_an_identity_token_is_exchanged(bearer: RegistryServer, tokens: TokenServer, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    write_auth(tmp_path / ".docker/config.json", auths={bearer.address: {"identitytoken": IDENTITY}})
    publish(layout, f"{bearer.address}/identity", {"HOME": str(tmp_path)})
    [(method, form, authorization)] = tokens.requests
    assert (method, form["grant_type"], authorization) == ("POST", ["refresh_token"], "")


def test_a_helper_may_give_an_identity_token(bearer: RegistryServer, tokens: TokenServer, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    answer = json.dumps({"ServerURL": "x", "Username": "<token>", "Secret": IDENTITY})
    environment = write_helper(tmp_path / "bin", "test", f"echo '{answer}'")
    write_auth(tmp_path / ".docker/config.json", credsStore="test")
    publish(layout, f"{bearer.address}/helper", environment)
    assert [method for method, *_ in tokens.requests] == ["POST"]


def test_a_registry_token_is_sent_as_it_is(bearer: RegistryServer, tokens: TokenServer, tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    ready = tokens.issue(["repository:ready:pull,push"], True)
    write_auth(tmp_path / ".docker/config.json", auths={bearer.address: {"registrytoken": ready}})
    publish(layout, f"{bearer.address}/ready", {"HOME": str(tmp_path)})
    assert tokens.requests == []


def test_an_anonymous_token_that_may_not_push_is_a_clear_end(
    bearer: RegistryServer, tokens: TokenServer, tmp_path: Path
) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    with pytest.raises(RegistryError, match=r"answers 40[13]|no credentials") as caught:
        publish(layout, f"{bearer.address}/anonymous", {"HOME": str(tmp_path)})
    assert len(tokens.requests) <= 3
    assert "login" in str(caught.value) or "log in" in str(caught.value)


def test_an_anonymous_token_suffices_to_pull(bearer: RegistryServer, tokens: TokenServer, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", 10)
    write_auth(tmp_path / ".docker/config.json", auths={bearer.address: {"auth": AUTH}})
    publish(layout, f"{bearer.address}/public", {"HOME": str(tmp_path)})
    tokens.requests.clear()
    repository = parse_repository(f"{bearer.address}/public")
    client = RegistryClient(repository, Transport(), CredentialStore({"HOME": "/nonexistent"}), actions="pull")
    assert client.manifest_digest("v1") == digest
    assert [(method, query["scope"], sent) for method, query, sent in tokens.requests] == [
        ("GET", ["repository:public:pull"], "")
    ]


def test_a_layer_of_another_repository_is_mounted_with_a_token_for_both(
    bearer: RegistryServer, tokens: TokenServer, tmp_path: Path
) -> None:
    layout, digest = sample_image(tmp_path / "image", 100 * KIB, seed=7)
    write_auth(tmp_path / ".docker/config.json", auths={bearer.address: {"auth": AUTH}})
    environment = {"HOME": str(tmp_path)}
    publish(layout, f"{bearer.address}/source", environment)
    tokens.requests.clear()
    cancellation = Cancellation()
    client = RegistryClient(
        parse_repository(f"{bearer.address}/target"),
        Transport(cancellation=cancellation),
        CredentialStore(environment),
    )
    sources = MountSources(client.repository, None, ["source"])
    report = push(LayoutReader(layout), client, ["v1"], PushOptions(), cancellation, sources=sources)
    assert (report.digest, report.count(MOUNTED)[0]) == (digest, 2)
    assert sorted(query["scope"] for _, query, _ in tokens.requests) == [
        ["repository:target:pull,push"],
        ["repository:target:pull,push", "repository:source:pull"],
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"token": "a\\r\\nX-Evil: 1"}', "answers with no usable token"),
        (b'{"token": 7}', "answers with no usable token"),
        (b'{"token": "' + b"a" * 100_000 + b'"}', "answers with no usable token"),
        (b"<html>", "answers with no usable token"),
        (b"[" * 100_000, "answers with no usable token"),
        (b" " * (5 << 20), "more than 4194304 bytes"),
    ],
    ids=["header injection", "a number", "too long", "no JSON", "nested", "oversized"],
)
def test_a_hostile_token_server_is_refused(
    bearer: RegistryServer, tokens: TokenServer, tmp_path: Path, body: bytes, message: str
) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    write_auth(tmp_path / ".docker/config.json", auths={"127.0.0.1": {}, "x": {}})
    with FaultProxy(tokens.address, lambda request: Harm(status=200, body=body)) as hostile:
        challenge = f'Bearer realm="http://{hostile.address}/token",service="x"'

        def rule(request: Request) -> Harm:
            return Harm(status=401, headers={"WWW-Authenticate": challenge})

        with FaultProxy(bearer.address, rule) as proxy, pytest.raises(RegistryError, match=message):
            publish(layout, f"{proxy.address}/x", {"HOME": str(tmp_path)})
    assert all("x-evil" not in request.headers for request in proxy.requests)


def test_a_wrong_password_at_the_token_server_is_named(
    bearer: RegistryServer, tokens: TokenServer, tmp_path: Path
) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    wrong = base64.b64encode(b"ann:wr0ng").decode()
    write_auth(tmp_path / ".docker/config.json", auths={bearer.address: {"auth": wrong}})
    with pytest.raises(AuthenticationError, match=f"its token server http://{tokens.address} answers 401") as caught:
        publish(layout, f"{bearer.address}/x", {"HOME": str(tmp_path)})
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize("claimed", [300, 2], ids=["that the client believes valid", "that the client sees expire"])
def test_a_token_that_expires_in_mid_push_is_renewed(
    bearer: RegistryServer, tokens: TokenServer, tmp_path: Path, claimed: int
) -> None:
    tokens.seconds, tokens.claimed = 4 if claimed == 2 else 2, claimed
    layout, digest = sample_image(tmp_path / "image", 1_500 * KIB, 100 * KIB, seed=claimed)
    write_auth(tmp_path / ".docker/config.json", auths={"127.0.0.1": {}, "x": {}})
    with FaultProxy(bearer.address) as proxy:
        write_netrc(tmp_path, proxy.address)
        proxy.rule = lambda r: Harm(slow=10_000, slow_seconds=4.0) if r.method == "PATCH" else None
        report = publish(layout, f"{proxy.address}/expiry{claimed}", {"HOME": str(tmp_path)})
    refused = [r.path for r, status in proxy.answers if status == 401 and "authorization" in r.headers]
    assert report.digest == digest
    assert len(tokens.requests) >= 2
    assert bool(refused) == (claimed == 300)


@pytest.mark.parametrize(
    ("challenge", "message"),
    [
        ('Bearer realm="http://203.0.113.1/token",service="x"', "token server without encryption"),
        ('Bearer realm="file:///etc/passwd"', "malformed token server"),
        ('Bearer realm="https://user@203.0.113.1/"', "malformed token server"),
        ("Negotiate", r"of a kind that is not known here \(negotiate\)"),
        ("", r"of a kind that is not known here \(none\)"),
    ],
)
def test_challenges_that_would_leak_or_cannot_be_met_are_refused(
    basic: RegistryServer, tmp_path: Path, challenge: str, message: str
) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    with FaultProxy(basic.address) as proxy:
        write_netrc(tmp_path, proxy.address)
        headers = {"WWW-Authenticate": challenge} if challenge else {}
        proxy.rule = lambda request: Harm(status=401, headers=headers)
        with pytest.raises(AuthenticationError, match=message):
            publish(layout, f"{proxy.address}/x", {"HOME": str(tmp_path)})


@pytest.mark.parametrize("kind", ["redirect", "upload location"])
def test_other_hosts_get_no_credentials(basic: RegistryServer, tmp_path: Path, kind: str) -> None:
    layout, _ = sample_image(tmp_path / "image", 10)
    with FaultProxy(basic.address) as registry, FaultProxy(basic.address) as other:
        write_netrc(tmp_path, registry.address)
        elsewhere = f"http://{other.address}"

        def rule(request: Request) -> Harm | None:
            if "authorization" not in request.headers:
                return None
            if kind == "redirect" and request.method == "HEAD" and "/blobs/" in request.path:
                return Harm(status=307, headers={"Location": elsewhere + request.path})
            if kind == "upload location" and request.method == "POST":
                return Harm(status=202, headers={"Location": f"{elsewhere}/v2/x/blobs/uploads/1"})
            return None

        registry.rule = rule
        other.rule = lambda request: Harm(status=403)
        with pytest.raises(RegistryError, match="answers 403"):
            publish(layout, f"{registry.address}/x", {"HOME": str(tmp_path)})
        assert any("authorization" in request.headers for request in registry.requests)
        assert other.requests
        assert not any("authorization" in request.headers for request in other.requests)


def test_tls_with_a_private_authority(tmp_path: Path, authority: Authority) -> None:
    layout, digest = sample_image(tmp_path / "image", 10)
    certificate, key = authority.write(tmp_path)
    tls = {"certificate": str(certificate), "key": str(key)}
    with RegistryServer(tmp_path / "registry", tls=tls) as registry:
        with pytest.raises(RegistryError, match="its certificate is not trusted") as caught:
            publish(layout, f"{registry.address}/tls", {"HOME": str(tmp_path)})
        assert "--" not in str(caught.value)  # the library knows no flags; the tool adds what they can do
        done = run_tool("push", f"--image={layout}", f"--repository={registry.address}/tls")
        assert done.returncode == 1
        assert "--ca_file" in done.stderr
        assert publish(layout, f"{registry.address}/tls", {"HOME": str(tmp_path)}, certificate).digest == digest


def test_no_secret_is_in_the_output_or_arguments_of_the_tool(basic: RegistryServer, tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", 10)
    write_auth(tmp_path / ".docker/config.json", auths={basic.address: {"auth": AUTH}})
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "chassis.tools.push", f"--image={layout}", f"-r={basic.address}/tool", "-t", "v1"],
        env={
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(tmp_path),
            "PYTHONPATH": os.pathsep.join([str(root), *sys.path]),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, digest + "\n"), done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert AUTH not in done.stdout + done.stderr

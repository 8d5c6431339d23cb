"""Attacks on the service's own credentials, and on what lies near it, by the registry that a job names."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.hostile.service.callers import Receiver, ended, job, receiver
from tests.service.service_process import ServiceProcess

ANN, BOB = "ann-has-a-long-token", "bob-has-a-long-token"
TOKENS = f"ann {ANN}\nbob {BOB}\n"
PASSWORD = "the-password-of-the-service"


def challenge(handler: BaseHTTPRequestHandler) -> None:
    """Asks for a log-in, as a registry does."""
    handler.send_response(401)
    handler.send_header("www-authenticate", 'Basic realm="registry"')
    handler.send_header("content-length", "0")
    handler.end_headers()


@pytest.fixture
def registry() -> Iterator[Receiver]:
    """A registry that notes what it is sent, and refuses all of it."""
    with receiver(challenge) as found:
        yield found


def home(folder: Path, registry: Receiver, netrc: str = "") -> dict[str, str]:
    """The environment of a service whose user is logged in to `registry`, and has a netrc."""
    folder.mkdir()
    (folder / ".netrc").write_text(netrc)
    (folder / ".netrc").chmod(0o600)
    auth = base64.b64encode(f"service:{PASSWORD}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {registry.address: {"auth": auth}}}))
    return {"HOME": str(folder), "DOCKER_CONFIG": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}


def passwords(registry: Receiver) -> list[str]:
    """The passwords that it was sent."""
    sent = [headers.get("authorization", "") for _, _, headers, _ in registry.requests]
    return [base64.b64decode(value.partition(" ")[2]).decode().partition(":")[2] for value in sent if value]


def test_the_services_credentials_serve_for_nothing_by_default(tmp_path: Path, registry: Receiver) -> None:
    netrc = f"machine 127.0.0.1 login a password {PASSWORD}\ndefault login b password {PASSWORD}"
    with ServiceProcess(tmp_path / "state", environment=home(tmp_path / "home", registry, netrc)) as service:
        done = ended(service, job(service, registry=registry.address, repository="team/cats"))
    assert done["status"]["state"] == "failed"
    assert "the service's own credentials serve for no registry" in done["status"]["message"]
    assert registry.requests
    assert passwords(registry) == []
    assert PASSWORD not in json.dumps(done)


@pytest.mark.parametrize(
    ("client", "token", "repository", "sent"),
    [
        ("ann", ANN, "models/ann/cats", True),
        ("ann", ANN, "models/ann", True),
        ("bob", BOB, "models/bob/cats", True),
        ("bob", BOB, "models/ann/cats", False),
        ("ann", ANN, "models/annex/cats", False),
        ("ann", ANN, "models", False),
        ("ann", ANN, "production/cats", False),
        ("ann", ANN, "shared/cats", True),
        ("ann", ANN, "sharedcats", False),
    ],
)
def test_they_serve_for_what_the_operator_lists_and_for_the_client(
    tmp_path: Path, registry: Receiver, client: str, token: str, repository: str, sent: bool
) -> None:
    own = [f"{registry.address}/models/{{client}}", f"{registry.address}/shared", "docker.io"]
    options = {"own_credentials": own, "environment": home(tmp_path / "home", registry)}
    with ServiceProcess(tmp_path / "state", TOKENS, **options) as service:
        done = ended(service, job(service, token, registry=registry.address, repository=repository), token)
    assert done["status"]["state"] == "failed", client
    assert set(passwords(registry)) == ({PASSWORD} if sent else set())


def test_another_port_of_a_listed_registry_gets_nothing(tmp_path: Path, registry: Receiver) -> None:
    """`machine 127.0.0.1` is what netrc says of the registry without a port; this one has another."""
    netrc = f"machine 127.0.0.1 login a password {PASSWORD}"
    options = {"own_credentials": ["127.0.0.1:1", "127.0.0.1"], "environment": home(tmp_path / "h", registry, netrc)}
    with ServiceProcess(tmp_path / "state", **options) as service:
        ended(service, job(service, registry=registry.address, repository="team/cats"))
    assert registry.requests
    assert passwords(registry) == []


def test_a_listed_registry_gets_nothing_of_netrcs_default(tmp_path: Path, registry: Receiver) -> None:
    environment = home(tmp_path / "home", registry, f"default login b password {PASSWORD}")
    (tmp_path / "home" / "config.json").unlink()
    options = {"own_credentials": [registry.address], "environment": environment}
    with ServiceProcess(tmp_path / "state", **options) as service:
        done = ended(service, job(service, registry=registry.address, repository="team/cats"))
    assert passwords(registry) == []
    assert f"has no entry `machine {registry.address}`" in done["status"]["message"]


def _echoes(handler: BaseHTTPRequestHandler) -> None:
    """Asks for a log-in, and says then what it was sent, in each form that comes to mind."""
    sent = handler.headers.get("authorization", "")
    if not sent:
        return challenge(handler)
    pair = base64.b64decode(sent.partition(" ")[2])
    password = pair.partition(b":")[2].decode()
    forms = [sent, password, base64.b64encode(password.encode()).decode(), quote(password), json.dumps(password)]
    if handler.command in ("GET", "HEAD"):
        handler.send_response(200 if handler.path == "/v2/" else 404)
        handler.send_header("docker-distribution-api-version", "registry/2.0")
        content = b"{}"
    else:
        handler.send_response(400)
        message = "x" * 280 + forms[0] if "long" in handler.path else " ".join(forms)
        content = json.dumps({"errors": [{"code": forms[1], "message": message, "detail": forms}]}).encode()
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(content)
    return None


@pytest.mark.parametrize("repository", ["team/cats", "team/long"])
@pytest.mark.parametrize("own", [True, False], ids=["the service's", "the job's"])
def test_what_a_registry_says_of_a_password_is_not_shown(tmp_path: Path, own: bool, repository: str) -> None:
    secret = 'pass"word+of/the service'
    with receiver(_echoes) as registry:
        environment = home(tmp_path / "home", registry)
        auth = base64.b64encode(f"service:{secret}".encode()).decode()
        (tmp_path / "home/config.json").write_text(json.dumps({"auths": {registry.address: {"auth": auth}}}))
        given = {} if own else {"credentials": {"username": "service", "password": secret}}
        options = {"own_credentials": [registry.address], "environment": environment}
        with ServiceProcess(tmp_path / "state", **options) as service:
            job_id = job(service, registry=registry.address, repository=repository, **given)
            done = ended(service, job_id)
            log = (service.state / "logs" / f"{job_id}.log").read_text()
    assert passwords(registry), "the password was not sent"
    assert done["status"]["state"] == "failed"
    assert "the registry answers 400" in done["status"]["message"]
    shown = log + done["status"]["message"] + json.dumps(done)
    for form in (secret, auth, quote(secret), json.dumps(secret), base64.b64encode(secret.encode()).decode()):
        for part in (form, form[:12]):
            assert part not in shown, part


def test_a_job_with_credentials_of_its_own_uses_only_these(tmp_path: Path, registry: Receiver) -> None:
    options = {"own_credentials": [registry.address], "environment": home(tmp_path / "home", registry)}
    credentials = {"username": "ann", "password": "ann-has-a-password"}
    with ServiceProcess(tmp_path / "state", **options) as service:
        made = job(service, registry=registry.address, repository="team/cats", credentials=credentials)
        ended(service, made)
    assert set(passwords(registry)) == {"ann-has-a-password"}


def test_a_registry_is_at_a_public_address_or_on_the_operators_list(tmp_path: Path, registry: Receiver) -> None:
    port = registry.address.rpartition(":")[2]
    with ServiceProcess(tmp_path / "state", TOKENS, registry_hosts=[]) as service:
        for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
            done = ended(service, job(service, ANN, registry=f"{host}:{port}", repository="team/cats"), ANN)
            assert "is not a public address" in done["status"]["message"], done
            assert "--registry_hosts" in done["status"]["message"]
    assert registry.requests == []


@pytest.mark.parametrize("way", ["redirect", "realm"])
def test_a_listed_registry_cannot_send_the_service_elsewhere(tmp_path: Path, way: str) -> None:
    with receiver() as canary:

        def away(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(307 if way == "redirect" else 401)
            handler.send_header("location", f"http://{canary.address}/metadata")
            handler.send_header("www-authenticate", f'Bearer realm="http://{canary.address}/token",service="x"')
            handler.send_header("content-length", "0")
            handler.end_headers()

        with (
            receiver(away, "127.0.0.2") as hostile,
            ServiceProcess(tmp_path / "state", TOKENS, registry_hosts=["127.0.0.2"]) as service,
        ):
            done = ended(service, job(service, ANN, registry=hostile.address, repository="team/cats"), ANN)
        assert done["status"]["state"] == "failed"
        assert hostile.requests
        assert canary.requests == []

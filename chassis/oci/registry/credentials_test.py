"""Where credentials are filed, and that they do not show."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from chassis.oci.registry.credentials import Credential, CredentialStore, Search
from chassis.oci.registry.reference import parse_repository


def auth(user: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:pw".encode()).decode()}


def find(home: Path, repository: str, **environment: str) -> Search:
    store = CredentialStore({"HOME": str(home), "PATH": "", **environment})
    return store.find(parse_repository(repository))


def write(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("repository", "user"),
    [
        ("r.example/team/secret/x", "deep"),
        ("r.example/team/x", "team"),
        ("r.example/teams/x", "host"),
        ("r.example:444/team/x", "port"),
        ("docker.io/org/x", "hub"),
        ("index.docker.io/org/x", "hub"),
        ("old.example/x", "old"),
        ("named.example/x", "named"),
        ("other.example/x", None),
    ],
)
def test_the_most_specific_entry_counts(tmp_path: Path, repository: str, user: str | None) -> None:
    auths = {
        "r.example": auth("host"),
        "r.example/team": auth("team"),
        "r.example/team/secret": auth("deep"),
        "r.example:444": auth("port"),
        "https://index.docker.io/v1/": auth("hub"),
        "https://old.example/v2/": auth("old"),
        "named.example": {"username": "named", "password": "pw"},
        "empty.example": {},
    }
    write(tmp_path / ".docker/config.json", {"auths": auths})
    credential = find(tmp_path, repository).credential
    assert (credential.username if credential else None) == user


def test_files_are_asked_in_order(tmp_path: Path) -> None:
    places = {
        "netrc": tmp_path / ".netrc",
        "config": tmp_path / ".config/containers/auth.json",
        "runtime": tmp_path / "run/containers/auth.json",
        "docker": tmp_path / ".docker/config.json",
        "named": tmp_path / "named.json",
    }
    environment = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "REGISTRY_AUTH_FILE": str(places["named"])}
    for name, path in places.items():
        write(
            path,
            f"machine r.example login {name} password pw" if name == "netrc" else {"auths": {"r.example": auth(name)}},
        )
        path.chmod(0o600)
        credential = find(tmp_path, "r.example/x", **environment).credential
        assert credential is not None
        assert credential.username == name


@pytest.mark.parametrize(
    ("repository", "user"),
    [
        ("corp.example/x", "host"),
        ("corp.example:443/x", "host"),
        ("corp.example:8443/x", None),
        ("other.example:8443/x", "port"),
        ("other.example/x", None),
        ("127.0.0.1:5000/x", None),
        ("[::1]:5000/x", "six"),
        ("[::1]/x", None),
        ("default:443/x", None),
    ],
)
def test_of_netrc_only_the_machine_itself_counts(tmp_path: Path, repository: str, user: str | None) -> None:
    machines = {"corp.example": "host", "other.example:8443": "port", "[::1]:5000": "six"}
    lines = [f"machine {machine} login {name} password pw" for machine, name in machines.items()]
    write(tmp_path / ".netrc", "\n".join([*lines, "default login everybody password pw"])).chmod(0o600)
    search = find(tmp_path, repository)
    assert (search.credential.username if search.credential else None) == user
    if user is None:
        assert f"has no entry `machine {repository.partition('/')[0]}`" in search.problems[0]


def test_of_an_auth_file_only_the_registry_with_its_port_counts(tmp_path: Path) -> None:
    write(
        tmp_path / ".docker/config.json", {"auths": {"corp.example": auth("host"), "https://p.example:1/": auth("p")}}
    )
    assert find(tmp_path, "corp.example:8443/x").credential is None
    assert find(tmp_path, "corp.example.evil.example/x").credential is None
    assert find(tmp_path, "p.example/x").credential is None
    assert find(tmp_path, "p.example:1/x").credential is not None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ({"auths": {"r.example": {"auth": "!"}}}, "`auth` is not base64 of user:password"),
        ({"credsStore": "missing"}, "docker-credential-missing (named in {path}): is not on the PATH"),
        ({"credsStore": "../../bin/sh"}, "is not on the PATH"),
        ({"auths": [], "credHelpers": [], "credsStore": 3}, ""),
    ],
)
def test_a_damaged_file_is_a_problem_and_no_end(tmp_path: Path, content: object, problem: str) -> None:
    path = write(tmp_path / ".docker/config.json", content)
    write(tmp_path / ".netrc", "machine r.example login netrc password pw").chmod(0o600)
    search = find(tmp_path, "r.example/x")
    assert search.credential is not None
    assert search.credential.username == "netrc"
    assert problem.replace("{path}", str(path)) in "".join(search.problems)
    assert bool(problem) == bool(search.problems)


def test_a_named_file_that_is_missing_is_a_problem(tmp_path: Path) -> None:
    search = find(tmp_path, "r.example/x", REGISTRY_AUTH_FILE=str(tmp_path / "none.json"))
    assert search.credential is None
    assert "REGISTRY_AUTH_FILE names it" in search.problems[0]


def test_secrets_are_not_in_representations() -> None:
    credential = Credential("file", "ann", "pass-word", "identity-token", "registry-token")
    for secret in ("pass-word", "identity-token", "registry-token"):
        assert secret not in repr(credential)
        assert secret not in repr(Search(credential))
    assert credential.basic() == "Basic " + base64.b64encode(b"ann:pass-word").decode()

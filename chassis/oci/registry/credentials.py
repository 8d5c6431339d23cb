"""Credentials from where people already have them: Docker's and Podman's files, credential helpers, netrc.

Nothing is read before a registry asks, and no secret shows in a message or a representation. What is filed for
`corp.example` is not sent to `corp.example:8443`, and netrc's `default` is sent to nobody. File formats: docker/cli's
config.json and containers-auth.json(5); helpers: docker-credential-helpers' protocol.
"""

from __future__ import annotations

import base64
import binascii
import json
import netrc
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chassis.oci.registry.reference import Repository

_HUB_KEY = "https://index.docker.io/v1/"
_HELPER_SECONDS = 30.0
_HELPER_NAME = re.compile(r"[A-Za-z0-9._-]+")
_NOT_FOUND = "credentials not found in native keychain"
_TOKEN_USER = "<token>"  # a helper's way to say that the secret is an identity token
_MAX_FILE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Credential:
    """What proves who is asking: a user name and password, an identity token (exchanged for access
    tokens), or a registry token (sent as it is). `origin` says where it was found."""

    origin: str
    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    def basic(self) -> str:
        """The value of an Authorization header, RFC 7617."""
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()


@dataclass(frozen=True, slots=True)
class Search:
    """What a search came to: the credential, if there is one, and each place that could not be read, in
    words."""

    credential: Credential | None
    problems: tuple[str, ...] = ()


class CredentialStore:
    """Looks credentials up in the places that the environment names."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def find(self, repository: Repository) -> Search:
        """The first credential for a repository: auth files in order, then netrc."""
        problems: list[str] = []
        for path in self._files():
            credential = self._from_file(path, repository, problems)
            if credential:
                return Search(credential, tuple(problems))
        return Search(self._from_netrc(repository, problems), tuple(problems))

    def places(self) -> str:
        """Where was looked, for a message."""
        return ", ".join(str(path) for path in [*self._files(), self._netrc_path()] if path)

    def _files(self) -> Iterator[Path]:
        env = self._environment
        home = Path(env.get("HOME") or "/")
        if env.get("REGISTRY_AUTH_FILE"):
            yield Path(env["REGISTRY_AUTH_FILE"])
        yield Path(env.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
        if env.get("XDG_RUNTIME_DIR"):
            yield Path(env["XDG_RUNTIME_DIR"]) / "containers" / "auth.json"
        yield Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json"

    def _netrc_path(self) -> Path:
        return Path(self._environment.get("NETRC") or Path(self._environment.get("HOME") or "/") / ".netrc")

    def _from_file(self, path: Path, repository: Repository, problems: list[str]) -> Credential | None:
        try:
            if path.stat().st_size > _MAX_FILE_BYTES:
                problems.append(f"{path}: too large for an auth file")
                return None
            document = json.loads(path.read_bytes())
        except FileNotFoundError:
            if str(path) == self._environment.get("REGISTRY_AUTH_FILE"):
                problems.append(f"{path}: REGISTRY_AUTH_FILE names it, but it is not there")
            return None
        except OSError as error:
            problems.append(f"{path}: cannot be read: {error.strerror}")
            return None
        except (ValueError, RecursionError):
            problems.append(f"{path}: is not JSON")
            return None
        if not isinstance(document, dict):
            problems.append(f"{path}: is not a JSON object")
            return None
        helpers = document.get("credHelpers")
        for key in _keys(repository):
            if isinstance(helpers, dict) and isinstance(helpers.get(key), str):
                return self._from_helper(helpers[key], repository, str(path), problems)
        credential = _from_auths(document.get("auths"), repository, path, problems)
        if credential is None and isinstance(document.get("credsStore"), str) and document["credsStore"]:
            return self._from_helper(document["credsStore"], repository, str(path), problems)
        return credential

    def _from_helper(self, name: str, repository: Repository, where: str, problems: list[str]) -> Credential | None:
        program = f"docker-credential-{name}"
        named = f"{program} (named in {where})"
        path = shutil.which(program, path=self._environment.get("PATH")) if _HELPER_NAME.fullmatch(name) else None
        if path is None:
            problems.append(f"{named}: is not on the PATH")
            return None
        try:
            done = subprocess.run(
                [path, "get"],
                input=_HUB_KEY if repository.is_hub else repository.registry,
                capture_output=True,
                text=True,
                timeout=_HELPER_SECONDS,
                env=dict(self._environment),
                check=False,
            )
        except subprocess.TimeoutExpired:
            problems.append(f"{named}: did not answer within {_HELPER_SECONDS:g} s")
            return None
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{named}: cannot be run: {error}")
            return None
        if done.returncode != 0:
            # By the protocol the reason is on standard output, where otherwise the secret would be: show only
            # what is known.
            if _NOT_FOUND not in done.stdout:
                problems.append(f"{named}: failed with exit status {done.returncode}")
            return None
        try:
            answer = json.loads(done.stdout)
            user, secret = answer["Username"], answer["Secret"]
        except (ValueError, TypeError, KeyError):
            problems.append(f"{named}: its answer is not the protocol's JSON")
            return None
        if user == _TOKEN_USER:
            return Credential(named, identity_token=str(secret))
        return Credential(named, username=str(user), password=str(secret))

    def _from_netrc(self, repository: Repository, problems: list[str]) -> Credential | None:
        path = self._netrc_path()
        try:
            # Not by `authenticators`, which falls back on the entry `default`: whoever names a registry would get that.
            hosts = netrc.netrc(str(path)).hosts
            default = hosts.pop("default", None)
        except FileNotFoundError:
            return None
        except OSError as error:
            problems.append(f"{path}: cannot be read: {error.strerror}")
            return None
        except (netrc.NetrcParseError, UnicodeDecodeError):
            problems.append(f"{path}: is not a valid netrc file")
            return None
        found = next((hosts[machine] for machine in _machines(repository) if machine in hosts), None)
        if not found:
            if default or repository.host in hosts:
                problems.append(f"{path}: has no entry `machine {_machines(repository)[0]}`, and no other entry counts")
            return None
        return Credential(str(path), username=found[0] or found[1] or "", password=found[2] or "")


def _keys(repository: Repository) -> list[str]:
    """What a repository may be filed under, most specific first (containers-auth.json(5), "FORMAT")."""
    if repository.is_hub:
        hosts = ["docker.io", "index.docker.io", "registry-1.docker.io", _HUB_KEY]
    else:
        hosts = [repository.registry]
    parts = repository.path.split("/")
    spaces = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return [f"{host}/{space}" for host in hosts if "://" not in host for space in spaces] + hosts


def _machines(repository: Repository) -> list[str]:
    """What netrc may call a registry: its host and port. A machine without a port is the one at HTTPS's own port."""
    if not repository.port or repository.port == "443":
        return [repository.registry, repository.host]
    return [repository.registry]


def _from_auths(auths: Any, repository: Repository, path: Path, problems: list[str]) -> Credential | None:
    if not isinstance(auths, dict):
        return None
    by_key = {_plain_key(key): value for key, value in auths.items()} | auths
    for key in _keys(repository):
        entry = by_key.get(key)
        if not isinstance(entry, dict):
            continue
        where = f"{path} ({key})"
        if isinstance(entry.get("identitytoken"), str) and entry["identitytoken"]:
            return Credential(where, identity_token=entry["identitytoken"])
        if isinstance(entry.get("registrytoken"), str) and entry["registrytoken"]:
            return Credential(where, registry_token=entry["registrytoken"])
        if isinstance(entry.get("auth"), str) and entry["auth"]:
            try:
                user, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                colon = ""
            if not colon:
                problems.append(f"{where}: `auth` is not base64 of user:password")
                continue
            return Credential(where, username=user, password=password.rstrip("\0"))
        if isinstance(entry.get("username"), str) and isinstance(entry.get("password"), str):
            return Credential(where, username=entry["username"], password=entry["password"])
    return None


def _plain_key(key: str) -> str:
    """`https://host/v2/` as `host`: how older clients filed a registry."""
    if "://" not in key:
        return key
    return key.split("://", 1)[1].split("/", 1)[0]

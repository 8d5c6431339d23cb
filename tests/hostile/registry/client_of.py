"""Clients of hostile servers: with credentials for them, little patience and few tries."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.reference import parse_repository
from chassis.oci.registry.transport import Backoff, Patience, Transport

USER, PASSWORD = "ann", "hunter2-hunter2"
IDENTITY = "identity-token-of-ann"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (PASSWORD, IDENTITY, BASIC)


def store_for(folder: Path, registry: str, identity: bool = False) -> CredentialStore:
    """Credentials for one registry alone."""
    path = folder / ".docker" / "config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {"identitytoken": IDENTITY} if identity else {"auth": BASIC}
    path.write_text(json.dumps({"auths": {registry: entry}}))
    return CredentialStore({"HOME": str(folder), "PATH": ""})


def transport_to(seconds: float = 20.0, least_bytes: int = 256 << 10, ca_file: Path | None = None) -> Transport:
    """A transport that tries three times, and gives an answer `seconds`."""
    return Transport(
        backoff=Backoff(attempts=3, first=0.001, longest=0.01, longest_asked=0.01),
        ca_file=ca_file,
        patience=Patience(seconds, least_bytes),
    )


def client_of(
    registry: str,
    folder: Path,
    transport: Transport | None = None,
    identity: bool = False,
    allow_plain_http: bool = False,
) -> RegistryClient:
    """A client that has credentials for `registry`, in the repository `x` there."""
    store = store_for(folder, registry, identity)
    return RegistryClient(
        parse_repository(f"{registry}/x"), transport or transport_to(), store, allow_plain_http=allow_plain_http
    )

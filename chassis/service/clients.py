"""Who may use the service: named tokens, and how much each of them may take."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

from chassis.errors import ChassisError

DEFAULT = "default"
"""The client of a service without tokens, or with a single one without a name."""

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_MAX_NAME = 40
_HASHED = re.compile(r"sha256:([0-9a-f]{64})")
_MIN_CHARACTERS = 16
_KEY_BYTES = 32
_OPERATOR = "operator"


class ClientsError(ChassisError, ValueError):
    """A file of tokens that cannot be used."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What one client may take.

    Attributes:
      uploads: uploads that no job has taken yet, and that arrive.
      bytes: of uploads on the disk, those of queued and running jobs included.
      queued: jobs that wait.
      running: jobs that run at once.
      minutes: of builds within 24 hours.
    """

    uploads: int = 20
    bytes: int = 16 << 30
    queued: int = 20
    running: int = 2
    minutes: int = 480

    def document(self) -> dict[str, int | None]:
        """The quota as the service tells of it; what has no limit is None."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value if value < getattr(UNLIMITED, name) else None for name, value in values.items()}


UNLIMITED = Quota(1 << 31, 1 << 62, 1 << 31, 1 << 31, 1 << 31)


@dataclass(frozen=True, slots=True)
class Client:
    """A client: jobs and uploads belong to its name. An operator sees what all together have on the disk."""

    name: str = DEFAULT
    quota: Quota = UNLIMITED
    operator: bool = False


OWN = Client(operator=True)
"""A process that is its own client."""


class Clients:
    """The clients of a service. Without tokens everybody is the client `default`."""

    def __init__(self, digests: dict[Client, bytes] | None = None, default: Client = OWN) -> None:
        """Takes the SHA-256 of each client's token; without any, who asks is `default`."""
        self._digests = digests or {}
        self._default = default
        self._by_name = {client.name: client for client in self._digests} or {default.name: default}

    @property
    def with_tokens(self) -> bool:
        """Whether a caller needs a token."""
        return bool(self._digests)

    def find(self, authorization: str) -> Client | None:
        """The client with the token of an Authorization header; None if it is nobody's.

        What is compared are digests, all of them each time: how long it takes says nothing about a token.
        """
        if not self._digests:
            return self._default
        scheme, _, token = authorization.partition(" ")
        digest = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        found: Client | None = None
        for client, wanted in self._digests.items():
            if hmac.compare_digest(digest, wanted):
                found = client
        return found if scheme.lower() == "bearer" else None

    def named(self, name: str) -> Client:
        """The client of a name; one that has no token any more has the usual quota."""
        return self._by_name.get(name) or Client(name, self._default.quota)


def read_clients(text: str, where: str, quota: Quota) -> Clients:
    """Reads a file of tokens.

    Either it is one token, or each line is `NAME TOKEN` with quotas after it that differ from `quota`, such as
    `running=4`; the word `operator` there lets a client see the sums of all. A token may be given as `sha256:` and the
    digest of it, in hexadecimal. Lines with `#` are comments.

    Raises:
      ClientsError: it is not such a file; the message never has a token in it.
    """
    lines = [(number, words) for number, line in enumerate(text.splitlines(), 1) if (words := _words(line))]
    if not lines:
        raise ClientsError(f"{where}: no token in it")
    if len(lines) == 1 and len(lines[0][1]) == 1:
        client = Client(DEFAULT, quota, operator=True)
        return Clients({client: _digest(lines[0][1][0], where, 1)}, client)
    digests: dict[Client, bytes] = {}
    for number, words in lines:
        place = f"{where}, line {number}"
        if len(words) < 2:
            raise ClientsError(f"{place}: expected NAME TOKEN, found one word")
        name, token, *options = words
        if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
            raise ClientsError(
                f"{place}: the name {name[:_MAX_NAME]!r}: expected at most {_MAX_NAME} lower-case letters and "
                "digits, with single `.`, `_` or `-` between them"
            )
        numbers = [option for option in options if option != _OPERATOR]
        client = Client(name, _quota(numbers, quota, place), operator=_OPERATOR in options)
        digest = _digest(token, place, _MIN_CHARACTERS)
        if name in {other.name for other in digests}:
            raise ClientsError(f"{place}: {name} is listed twice")
        if digest in digests.values():
            raise ClientsError(f"{place}: {name} has the token of another line")
        digests[client] = digest
    return Clients(digests, Client(DEFAULT, quota))


def webhook_key(path: Path) -> bytes:
    """The key that clients' secrets for webhooks are made of; made at first, and readable by its owner only."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        key = path.read_bytes()
        if len(key) != _KEY_BYTES:
            raise ClientsError(
                f"{path}: expected {_KEY_BYTES} bytes, found {len(key)}; remove it to have another made"
            ) from None
        return key
    with os.fdopen(descriptor, "wb") as file:
        key = secrets.token_bytes(_KEY_BYTES)
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return key


def webhook_secret(key: bytes, client: str) -> str:
    """The secret that a client's webhooks are signed with; from one client's nobody can tell another's."""
    return "whsec_" + base64.b64encode(hmac.digest(key, b"webhook\0" + client.encode(), "sha256")).decode()


def _words(line: str) -> list[str]:
    return [] if line.lstrip().startswith("#") else line.split()


def _digest(token: str, place: str, least: int) -> bytes:
    hashed = _HASHED.fullmatch(token)
    if hashed:
        return bytes.fromhex(hashed[1])
    if token.startswith("sha256:"):
        raise ClientsError(f"{place}: after sha256: expected 64 lower-case hexadecimal digits")
    if len(token) < least or not token.isascii() or not token.isprintable():
        raise ClientsError(
            f"{place}: expected a token of at least {least} ASCII characters, such as `openssl rand -hex 24` prints"
        )
    return hashlib.sha256(token.encode()).digest()


def _quota(options: Iterable[str], quota: Quota, place: str) -> Quota:
    return replace(quota, **dict(_options(options, place)))


def _options(options: Iterable[str], place: str) -> Iterator[tuple[str, int]]:
    names = [field.name for field in fields(Quota)]
    for option in options:
        name, _, value = option.partition("=")
        if name not in names or not value.isdecimal() or len(value) > 18 or int(value) < 1:
            # The word is not shown: it may be a part of a token.
            raise ClientsError(f"{place}: after the token expected {', '.join(f'{each}=NUMBER' for each in names)}")
        yield name, int(value)

"""Proves to a registry who is asking: Basic, and Docker's Bearer tokens, renewed when they run out in
mid-push.

Specification: distribution's docs/spec/auth/token.md and oauth.md, which every registry with tokens follows.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
from dataclasses import dataclass, replace

from chassis.oci.registry.challenge import Challenge, parse_challenges
from chassis.oci.registry.credentials import CredentialStore, Search
from chassis.oci.registry.errors import AnswerError, AuthenticationError
from chassis.oci.registry.origin import is_this_machine, origin, reaches_inwards
from chassis.oci.registry.reference import Repository
from chassis.oci.registry.request import Request, Response
from chassis.oci.registry.transport import Transport

_CLIENT = "chassis"
_DEFAULT_TOKEN_SECONDS = 60.0  # what the specification says if `expires_in` is missing
_MAX_TOKEN_CHARACTERS = 64 << 10


@dataclass(frozen=True, slots=True)
class _Token:
    header: str
    expires: float

    @property
    def fresh(self) -> bool:
        return time.monotonic() < self.expires


class Authenticator:
    """Authorization for one repository's registry; safe to use from several threads."""

    def __init__(
        self, repository: Repository, transport: Transport, store: CredentialStore, allow_plain_http: bool
    ) -> None:
        self._repository = repository
        self._transport = transport
        self._store = store
        self._allow_plain_http = allow_plain_http
        self._lock = threading.Lock()
        self._search: Search | None = None
        self._challenge: Challenge | None = None
        self._tokens: dict[tuple[str, ...], _Token] = {}

    def following(self, other: Authenticator) -> Authenticator:
        """This one, with the challenge that another repository of the registry met, so that none is asked for anew."""
        self._challenge = other._challenge
        return self

    def header(self, scopes: tuple[str, ...]) -> str:
        """The Authorization header for requests with these scopes, "" if the registry asked for none
        yet."""
        with self._lock:
            if self._challenge is None:
                return ""
            token = self._tokens.get(scopes)
            if token is None or not token.fresh:
                token = self._tokens[scopes] = self._obtain(self._challenge, scopes)
            return token.header

    def challenged(self, answer: Response, scopes: tuple[str, ...], sent: str) -> None:
        """Takes a 401 in: the next `header` is one that the challenge asks for. `sent` is the header that was
        refused.

        Raises:
          AuthenticationError: no credential satisfies the challenge, or it was refused.
        """
        with self._lock:
            held = self._tokens.get(scopes)
            if held is not None and held.header != sent:
                return  # another thread renewed it meanwhile
            offered = parse_challenges(answer.header("WWW-Authenticate"))
            choice = next((c for scheme in ("bearer", "basic") for c in offered if c.scheme == scheme), None)
            if choice is None:
                schemes = ", ".join(c.scheme for c in offered) or "none"
                raise AuthenticationError(
                    f"{self._repository.registry} wants a log-in of a kind that is not known here ({schemes})"
                )
            if choice.scheme == "basic" and sent:
                raise self._refused("refuses the log-in")
            self._challenge = choice
            self._tokens[scopes] = self._obtain(choice, scopes)

    def rejected(self) -> AuthenticationError:
        """The error for a request that is refused with the log-in that the registry asked for."""
        with self._lock:
            return self._refused("refuses the log-in")

    def _obtain(self, challenge: Challenge, scopes: tuple[str, ...]) -> _Token:
        search = self._credentials()
        credential = search.credential
        if credential and credential.registry_token:
            return _Token(f"Bearer {credential.registry_token}", float("inf"))
        if challenge.scheme == "basic":
            if credential is None or credential.identity_token:
                raise self._refused("wants a log-in")
            return _Token(credential.basic(), float("inf"))
        return self._token(challenge, scopes, search)

    def _token(self, challenge: Challenge, scopes: tuple[str, ...], search: Search) -> _Token:
        realm = self._realm(challenge)
        service = challenge.parameters.get("service", "")
        credential = search.credential
        request = Request("GET", realm, {"Accept": "application/json"}, confidential=credential is not None)
        if credential and credential.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "scope": " ".join(scopes),
                "client_id": _CLIENT,
                "refresh_token": credential.identity_token,
            }
            request = replace(request, method="POST", body=urllib.parse.urlencode(form).encode())
            request = request.with_headers(Content_Type="application/x-www-form-urlencoded")
        else:
            query = [("service", service)] if service else []
            query += [("scope", scope) for scope in scopes]
            if credential:
                request = request.with_headers(Authorization=credential.basic())
                query.append(("account", credential.username))
            joint = "&" if urllib.parse.urlsplit(realm).query else "?"
            request = replace(request, url=realm + joint + urllib.parse.urlencode(query))
        try:
            answer = self._transport.send(request)
        except AnswerError as error:
            raise AuthenticationError(
                f"{self._repository.registry}: its token server cannot be used: {error}"
            ) from None
        if answer.status in (400, 401, 403):
            raise self._refused(f"refuses a token (its token server {origin(realm)} answers {answer.status})")
        if answer.status != 200:
            raise AuthenticationError(f"the token server {origin(realm)} answers {answer.status}; try again later")
        return self._parse_token(answer, realm)

    def _realm(self, challenge: Challenge) -> str:
        """The token server that a registry names. It may be any host, as with Docker Hub's, and gets the credentials of
        the registry, which is trusted to choose it: TLS proves which registry it is.

        Raises:
          AuthenticationError: it would get them in the clear, or is an address that only this machine or its network
            knows, while the registry is not.
        """
        realm = challenge.parameters.get("realm", "")
        registry = self._repository
        try:
            where = origin(realm)
            valid = realm.isascii() and realm.isprintable() and not {" ", "\\"} & set(realm)
        except AnswerError:
            valid = False
        if not valid:
            raise AuthenticationError(f"{registry.registry} names a malformed token server: {realm[:200]!r}")
        parts = urllib.parse.urlsplit(realm)
        host = parts.hostname or ""
        if parts.scheme == "http" and not (self._allow_plain_http or (registry.is_loopback and is_this_machine(host))):
            raise AuthenticationError(
                f"{registry.registry} names a token server without encryption ({where}); credentials are not sent there"
            )
        if host != registry.host and reaches_inwards(registry.host, host):
            raise AuthenticationError(
                f"{registry.registry} names a token server with a private address ({where}); "
                "it is not asked, so that a registry reaches nothing through this machine"
            )
        return realm

    def _parse_token(self, answer: Response, realm: str) -> _Token:
        try:
            fields = json.loads(answer.body)
            token = fields.get("token") or fields.get("access_token")
            seconds = float(fields.get("expires_in") or _DEFAULT_TOKEN_SECONDS)
        except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            token, seconds = None, 0.0
        valid = isinstance(token, str) and token.isascii() and token.isprintable()
        if not valid or not token or len(token) > _MAX_TOKEN_CHARACTERS:
            raise AuthenticationError(f"the token server {origin(realm)} answers with no usable token")
        self._transport.secrets.add(token)
        # Renewed a little early: a request takes time to arrive.
        return _Token(f"Bearer {token}", time.monotonic() + max(1.0, min(seconds - 10.0, seconds * 0.8)))

    def _credentials(self) -> Search:
        if self._search is None:
            self._search = self._store.find(self._repository)
            if self._search.credential:
                self._transport.secrets.add_credential(self._search.credential)
        return self._search

    def _refused(self, what: str) -> AuthenticationError:
        search = self._credentials()
        lines = [f"{self._repository.registry} {what} for {self._repository.path}"]
        if search.credential:
            user = f" of user {search.credential.username}" if search.credential.username else ""
            lines.append(f"the credentials{user} are those in {search.credential.origin}")
        else:
            lines.append(f"no credentials for it were found in {self._store.places()}")
        lines += search.problems
        lines.append(f"log in with: podman login {self._repository.registry} (or docker login)")
        return AuthenticationError("\n  ".join(lines))

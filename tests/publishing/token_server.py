"""A token server for docker-registry: Docker's token authentication, on loopback, with users of a test's.

Specification: distribution's docs/spec/auth/token.md and oauth.md.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.publishing.certificates import Authority
from tests.support.loopback_server import LoopbackServer

ISSUER, SERVICE = "test-issuer", "test-registry"
_LEEWAY_SECONDS = 60  # by which docker-registry lets clocks differ


class TokenServer(LoopbackServer):
    """Gives tokens to `users` (name to password) and to holders of `identity_token`; a context manager.

    `seconds` is how long a token is valid, `claimed` how long the server says; anonymous callers may pull.
    Every request is in `requests`, as method, query or form, and the Authorization header.
    """

    def __init__(
        self,
        authority: Authority,
        users: dict[str, str],
        identity_token: str = "",
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        """`tls` is a certificate and its key, as PEM files; without it the server speaks plain HTTP."""
        self.authority = authority
        self.users = users
        self.identity_token = identity_token
        self.seconds = self.claimed = 300
        self.requests: list[tuple[str, dict[str, list[str]], str]] = []
        server = _Server(("127.0.0.1", 0), _Handler)
        server.tokens = self
        super().__init__(server, tls)
        self._scheme = "https" if tls else "http"

    def registry_auth(self, certificate: Path) -> dict:
        """The `auth` section of a registry that trusts this server."""
        realm = f"{self._scheme}://{self.address}/token"
        bundle = str(certificate)
        return {"token": {"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle}}

    def issue(self, scopes: list[str], may_push: bool) -> str:
        """A signed token for what of `scopes` is granted."""
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            granted = [action for action in actions.split(",") if may_push or action == "pull"]
            access.append({"type": kind, "name": name, "actions": granted})
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": SERVICE, "sub": "", "jti": secrets.token_hex(8), "access": access}
        return self.authority.token(claims | {"iat": now, "nbf": now - 60, "exp": now - _LEEWAY_SECONDS + self.seconds})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    tokens: TokenServer


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        authorization = self.headers.get("Authorization", "")
        self.server.tokens.requests.append(("GET", query, authorization))
        allowed = False
        if authorization:
            pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
            allowed = pair in {f"{user}:{password}" for user, password in self.server.tokens.users.items()}
            if not allowed:
                self._answer(401, {"details": "wrong user or password"})
                return
        self._grant("token", query, allowed)

    def do_POST(self) -> None:
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.tokens.requests.append(("POST", form, self.headers.get("Authorization", "")))
        wanted = self.server.tokens.identity_token
        if not wanted or form.get("refresh_token") != [wanted] or form.get("grant_type") != ["refresh_token"]:
            self._answer(401, {"error": "invalid_grant"})
            return
        self._grant("access_token", {"scope": form["scope"][0].split(" ")}, True)

    def _grant(self, field: str, query: dict[str, list[str]], may_push: bool) -> None:
        token = self.server.tokens.issue(query.get("scope", []), may_push)
        self._answer(200, {field: token, "expires_in": self.server.tokens.claimed})

    def _answer(self, status: int, document: dict) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

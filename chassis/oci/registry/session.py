"""Requests to one registry, with authorization if it asks for it and errors in a person's words."""

from __future__ import annotations

import json

from chassis.oci.registry.auth import Authenticator
from chassis.oci.registry.errors import (
    AnswerError,
    BrokenConnectionError,
    NotTlsError,
    RegistryError,
    StatusError,
    UnreachableError,
)
from chassis.oci.registry.origin import origin
from chassis.oci.registry.reference import Repository
from chassis.oci.registry.request import Request, Response, Sink
from chassis.oci.registry.transport import Transport

_SHOWN_ERRORS = 5
_SHOWN_CHARACTERS = 300
_MARKER = "Docker-Distribution-Api-Version"


class Session:
    """A registry that answered once, so that its scheme is known."""

    def __init__(self, base: str, transport: Transport, authenticator: Authenticator) -> None:
        """`base` is scheme and host, such as `https://registry.example`."""
        self.base = base
        self.transport = transport
        self._authenticator = authenticator

    def beside(self, authenticator: Authenticator) -> Session:
        """A session with the same registry for another repository."""
        return Session(self.base, self.transport, authenticator.following(self._authenticator))

    def send(
        self, request: Request, scopes: tuple[str, ...], attempts: int | None = None, sink: Sink | None = None
    ) -> Response:
        """Sends a request with the authorization for `scopes`, once more after a 401; see `Transport.send`.

        Credentials go to the registry's own origin only, and what another origin says of a log-in does not count.
        """
        try:
            return self._send(request, scopes, attempts, sink)
        except RegistryError as error:
            error.args = tuple(self.transport.secrets.hide(str(part)) for part in error.args)
            raise

    def _send(self, request: Request, scopes: tuple[str, ...], attempts: int | None, sink: Sink | None) -> Response:
        own = origin(request.url) == origin(self.base)
        for last in (False, True):
            authorization = self._authenticator.header(scopes) if own else ""
            answer = self.transport.send(request.with_headers(Authorization=authorization), attempts, sink)
            if answer.status != 401 or not own or origin(answer.url) != origin(self.base):
                return answer
            if last:
                raise self._authenticator.rejected()
            self._authenticator.challenged(answer, scopes, authorization)
        raise AssertionError("unreachable")


def connect(
    repository: Repository, transport: Transport, authenticator: Authenticator, allow_plain_http: bool
) -> Session:
    """Finds out how a registry is spoken to: HTTPS, but plain HTTP first on loopback and last if it is
    allowed.

    Raises:
      UnreachableError: nothing answers. RegistryError: what answers is not a registry.
    """
    schemes = ["http", "https"] if repository.is_loopback else ["https", "http"] if allow_plain_http else ["https"]
    failures: list[RegistryError] = []
    for scheme in schemes:
        base = f"{scheme}://{repository.api_host}"
        try:
            # The first answer decides whether anything is there at all, so it gets fewer tries than what
            # follows.
            answer = transport.send(Request("GET", f"{base}/v2/"), attempts=3)
        except UnreachableError as error:
            failures.append(error)
            if not isinstance(error, BrokenConnectionError):
                break  # the other scheme has the same port
            continue
        except RegistryError as error:
            failures.append(error)
            continue
        if answer.status in (200, 401) and (answer.status == 401 or _is_registry(answer)):
            return Session(base, transport, authenticator)
        if answer.status in (429, 500, 502, 503, 504):
            raise status_error(answer, f"registry {repository.api_host}")
        if not (answer.status == 400 and b"HTTPS" in answer.body):  # what servers of TLS say to plain HTTP
            failures.append(
                AnswerError(
                    f"{base} is not a registry: its /v2/ answers {answer.status}, expected 200 or 401 "
                    "(a wrong port, or a proxy?)"
                )
            )
    failure = min(failures, key=_doubt)
    if isinstance(failure, UnreachableError):
        network = "" if repository.is_loopback else ", is there a network"
        raise UnreachableError(
            f"registry {repository.api_host}: {failure}\n  is it running, is the name right{network}?"
        )
    raise failure


def _doubt(failure: RegistryError) -> int:
    """How little a failure tells, if two schemes failed: a wrong answer tells most, "no TLS" least."""
    if isinstance(failure, NotTlsError):
        return 3
    return 0 if isinstance(failure, AnswerError) else 2 if isinstance(failure, UnreachableError) else 1


def _is_registry(answer: Response) -> bool:
    return _MARKER in answer.headers or answer.body.strip() in (b"", b"{}", b"true")


def status_error(answer: Response, doing: str) -> StatusError:
    """The error for an answer that is not one of those hoped for, with the registry's own words if it
    gives any."""
    hide = answer.secrets.hide
    codes: list[str] = []
    words: list[str] = []
    try:
        listed = json.loads(answer.body).get("errors") or []
        for item in listed[:_SHOWN_ERRORS]:
            codes.append(hide(str(item.get("code", "")))[:64])
            detail = f" ({json.dumps(item['detail'])})" if item.get("detail") else ""
            words.append(_printable(hide(f"{item.get('code', '')}: {item.get('message', '')}{detail}")))
    except (ValueError, AttributeError, TypeError, RecursionError):
        pass
    said = "; ".join(words) or _printable(hide(answer.body.decode(errors="replace").strip())) or "no reason given"
    remedies = {
        401: "log in with podman login or docker login",
        403: "the account may not do this; is the repository's name right?",
        404: "the repository or upload does not exist there; some registries need it to be created first",
        413: "the registry, or a proxy before it, limits the size of uploads",
        429: "the registry limits requests; try again later",
        507: "the registry's disk is full",
    }
    remedy = remedies.get(answer.status, "try again later" if answer.status >= 500 else "")
    text = f"{doing}: the registry answers {answer.status}: {said}"
    return StatusError(text + (f"\n  {remedy}" if remedy else ""), answer.status, tuple(codes))


def _printable(text: str) -> str:
    """Text of a registry's, which may hold anything, for a terminal."""
    shown = "".join(char if char.isprintable() else " " for char in text[: _SHOWN_CHARACTERS + 1])
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "…"

"""A request to a registry and its answer, each as one value."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Protocol

import urllib3

from chassis.oci.registry.errors import AnswerError
from chassis.oci.registry.origin import origin

_MAX_HEADER_CHARACTERS = 16 << 10
AUTHORIZATION = "Authorization"


class Body(Protocol):
    """A request's body on its way; it is sent once and closed."""

    def blocks(self) -> Iterable[object]:
        """The bytes in pieces that a connection takes: `bytes`, or a `file_body.FileBlock`."""

    def close(self) -> None:
        """Lets go of what it reads from."""


@dataclass(frozen=True, slots=True)
class Content:
    """A body of `size` bytes; `open` starts it anew each time that the request is sent."""

    open: Callable[[], Body]
    size: int


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a server.

    `confidential` says that the URL or the body holds a secret, not the Authorization header alone: such a request
    follows no redirect to another origin.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Content | None = None
    confidential: bool = False

    def with_headers(self, **headers: str) -> Request:
        """The same request with more headers; names are given with `_` for `-`, empty values are left out."""
        more = {name.replace("_", "-"): value for name, value in headers.items() if value}
        return replace(self, headers={**self.headers, **more})

    def redirected(self, url: str) -> Request:
        """The same request to another URL, without credentials when that is of another origin.

        Raises:
          AnswerError: it is of another origin, and the request holds a secret.
        """
        if origin(url) == origin(self.url):
            return replace(self, url=url)
        if self.confidential:
            raise AnswerError(
                f"{origin(self.url)}: redirects a request that holds a secret to {origin(url)}; "
                "the secret was not sent there"
            )
        kept = {name: value for name, value in self.headers.items() if name.lower() != AUTHORIZATION.lower()}
        return replace(self, url=url, headers=kept)


@dataclass(frozen=True, slots=True)
class Response:
    """A registry's answer: HTTP status, headers, the whole body (bounded), and the URL that gave it."""

    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes
    url: str

    def header(self, name: str) -> str:
        """The header's value, "" when it is missing.

        Raises:
          AnswerError: it is absurdly long or holds control characters.
        """
        value: str = self.headers.get(name, "")
        if len(value) > _MAX_HEADER_CHARACTERS or not value.isprintable():
            raise AnswerError(f"{origin(self.url)}: answers with a malformed {name} header ({len(value)} characters)")
        return value

    @property
    def media_type(self) -> str:
        """The media type of the body without its parameters, in lower case; "" when the answer does not say."""
        return self.header("Content-Type").partition(";")[0].strip().lower()

    @property
    def retry_after(self) -> float | None:
        """Seconds that the registry asks to wait (RFC 9110, section 10.2.3); None when it asks for nothing."""
        value = self.headers.get("Retry-After", "")
        if value.isdigit() and len(value) < 9:
            return float(value)
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        return None


class Sink(Protocol):
    """Takes the body of an answer 200 or 206 as it comes, of any size."""

    def begin(self, answer: Response) -> None:
        """Is told of status and headers before the first byte; the answer's body is empty."""

    def write(self, data: bytes) -> None:
        """Takes the next bytes."""

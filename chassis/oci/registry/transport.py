"""HTTP to a registry: bounded in size and time, redirects followed without credentials, transient faults
retried."""

from __future__ import annotations

import contextlib
import random
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol

import urllib3

from chassis.oci.registry.connections import BLOCK_BYTES, IO_SECONDS, Addresses, Connections
from chassis.oci.registry.errors import (
    AnswerError,
    BrokenConnectionError,
    CancelledError,
    NotTlsError,
    RegistryError,
    UnreachableError,
)
from chassis.oci.registry.file_body import FileBody

CONNECT_SECONDS = 15.0
ANSWER_SECONDS = 120.0  # for a whole answer's body, however slowly it drips
MAX_ANSWER_BYTES = 4 << 20
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_HEADER_CHARACTERS = 16 << 10
_AUTHORIZATION = "Authorization"


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often and how long to wait between tries: `attempts` in all, waits doubling from `first` to
    `longest` seconds; what a registry asks for with Retry-After counts up to `longest_asked`."""

    attempts: int = 6
    first: float = 0.25
    longest: float = 8.0
    longest_asked: float = 60.0

    def wait(self, attempt: int, asked: float | None = None) -> float:
        """Seconds to wait after try number `attempt`, from 0; a part of it is chance, so that many do not
        return at once."""
        if asked is not None:
            return min(max(asked, 0.0), self.longest_asked)
        return min(self.first * 2**attempt, self.longest) * random.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """A registry's answer: HTTP status, headers, the whole body (bounded), and the URL that gave it."""

    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes
    url: str

    def header(self, name: str) -> str:
        """The header's value, "" where it is missing.

        Raises:
          AnswerError: it is absurdly long or holds control characters.
        """
        value = self.headers.get(name, "")
        if len(value) > _MAX_HEADER_CHARACTERS or not value.isprintable():
            raise AnswerError(f"{self.url}: answers with a malformed {name} header ({len(value)} characters)")
        return value

    @property
    def retry_after(self) -> float | None:
        """Seconds that the registry asks to wait (RFC 9110, section 10.2.3); None where it asks for
        nothing."""
        value = self.headers.get("Retry-After", "")
        if value.isdigit() and len(value) < 9:
            return float(value)
        with contextlib.suppress(ValueError, TypeError):
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        return None


# Opens a request's body, anew each time that it is sent.
BodyFactory = Callable[[], FileBody]


class Sink(Protocol):
    """Takes the body of an answer 200 or 206 as it comes, of any size."""

    def begin(self, answer: Answer) -> None:
        """Is told of status and headers before the first byte; the answer's body is empty."""

    def write(self, data: bytes) -> None:
        """Takes the next bytes."""


class Cancellation:
    """Tells several threads to give up; waits end early when it is set."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Gives up."""
        self._event.set()

    def check(self) -> None:
        """Raises `CancelledError` once it is set."""
        if self._event.is_set():
            raise CancelledError("given up")

    def sleep(self, seconds: float) -> None:
        """Waits; raises `CancelledError` as soon as it is set."""
        self._event.wait(seconds)
        self.check()


class Transport:
    """Connections to one registry and to where it redirects. Safe to use from several threads."""

    def __init__(
        self,
        connections: int = 8,
        backoff: Backoff | None = None,
        ca_file: Path | None = None,
        cancellation: Cancellation | None = None,
        addresses: Addresses | None = None,
    ) -> None:
        """`connections` is how many are kept open to one host.

        `ca_file` holds PEM certificates trusted beside the system's and those of `SSL_CERT_FILE`.
        With `addresses`, nothing else is connected to, neither for a redirect nor for a token server.
        """
        self.backoff = backoff or Backoff()
        self.cancellation = cancellation or Cancellation()
        self._connections = Connections(connections, ca_file, addresses)

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | BodyFactory | None = None,
        length: int = 0,
        attempts: int | None = None,
        sink: Sink | None = None,
    ) -> Answer:
        """Sends a request, again after transient faults where that is safe to decide here.

        `body` is bytes, or a factory of bodies of `length` bytes. `attempts` 1 leaves retrying to the
        caller. A `sink` takes the body of a good answer, which is then not in the `Answer`.

        Raises:
          UnreachableError: no answer after every attempt. AnswerError: the answer is oversized or malformed,
            or redirects somewhere it should not.
        """
        attempts = attempts or self.backoff.attempts
        for attempt in range(attempts):
            self.cancellation.check()
            last = attempt == attempts - 1
            try:
                answer = self._follow(method, url, dict(headers or {}), body, length, sink)
            except UnreachableError:
                if last:
                    raise
                self.cancellation.sleep(self.backoff.wait(attempt))
                continue
            if last or answer.status not in TRANSIENT_STATUSES:
                return answer
            self.cancellation.sleep(self.backoff.wait(attempt, answer.retry_after))
        raise AssertionError("unreachable")

    def _follow(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | BodyFactory | None,
        length: int,
        sink: Sink | None,
    ) -> Answer:
        for _ in range(_MAX_REDIRECTS):
            answer = self._send(method, url, headers, body, length, sink)
            location = answer.header("Location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            if answer.status in (301, 302, 303) and method not in ("GET", "HEAD"):
                return answer
            target = resolve(url, location)
            if origin(target) != origin(url):
                headers.pop(_AUTHORIZATION, None)
            url = target
        raise AnswerError(f"{origin(url)}: redirects more than {_MAX_REDIRECTS} times")

    def _send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | BodyFactory | None,
        length: int,
        sink: Sink | None,
    ) -> Answer:
        file = body() if callable(body) else None
        if file is not None:
            headers = {**headers, "Content-Length": str(length)}
        try:
            response = self._connections.manager(url).request(
                method,
                url,
                headers=headers,
                body=file.blocks() if file is not None else body,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=IO_SECONDS),
            )
            return self._read(response, method, url, sink)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.NameResolutionError) as error:
            raise UnreachableError(f"{origin(url)} cannot be reached: {_reason(error)}") from None
        except urllib3.exceptions.ConnectTimeoutError:
            raise UnreachableError(f"{origin(url)} cannot be reached: no answer within {CONNECT_SECONDS:g} s") from None
        except urllib3.exceptions.SSLError as error:
            raise _tls_error(url, error) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise BrokenConnectionError(f"{origin(url)}: the connection broke: {_reason(error)}") from None
        finally:
            if file is not None:
                file.close()

    def _read(self, response: urllib3.BaseHTTPResponse, method: str, url: str, sink: Sink | None) -> Answer:
        try:
            if sink and response.status in (200, 206):
                answer = Answer(response.status, urllib3.HTTPHeaderDict(response.headers), b"", url)
                sink.begin(answer)
                while data := response.read1(BLOCK_BYTES):
                    self.cancellation.check()
                    sink.write(data)
                return answer
            parts: list[bytes] = []
            size, end = 0, time.monotonic() + ANSWER_SECONDS
            while method != "HEAD" and (data := response.read1(BLOCK_BYTES)):
                parts.append(data)
                size += len(data)
                if size > MAX_ANSWER_BYTES:
                    response.close()
                    raise AnswerError(f"{origin(url)}: an answer of more than {MAX_ANSWER_BYTES} bytes")
                if time.monotonic() > end:
                    response.close()
                    raise BrokenConnectionError(f"{origin(url)}: an answer took over {ANSWER_SECONDS:g} s")
            return Answer(response.status, urllib3.HTTPHeaderDict(response.headers), b"".join(parts), url)
        except RegistryError:
            response.close()  # what is left of the body would be read as the next answer
            raise
        finally:
            response.release_conn()


def resolve(url: str, location: str) -> str:
    """The URL that a Location header means, seen from `url`.

    Raises:
      AnswerError: it is malformed, has another scheme than HTTP's, holds a user name, or leaves HTTPS for
        HTTP.
    """
    try:
        target = urllib.parse.urljoin(url, location)
        parts = urllib.parse.urlsplit(target)
        valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
        valid = valid and parts.username is None and target.isascii() and target.isprintable() and " " not in target
    except ValueError:
        valid = False
    if not valid:
        raise AnswerError(f"{origin(url)}: answers with the malformed Location {location[:200]!r}")
    if url.startswith("https:") and parts.scheme == "http":
        if parts.netloc != urllib.parse.urlsplit(url).netloc:
            raise AnswerError(f"{origin(url)}: sends to {origin(target)}, which is not encrypted; refused")
        target = "https" + target.removeprefix("http")  # a registry that does not know of the TLS before it
    return target


def origin(url: str) -> str:
    """Scheme, host and port: what credentials are for."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def _reason(error: BaseException) -> str:
    """The innermost error's text, which says more than urllib3's wrapping of it."""
    for inner in _chain(error):
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
    return str(error)[:300]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = [arg for arg in error.args if isinstance(arg, BaseException)]
        error = inner[0] if inner else error.__cause__ or error.__context__


def _tls_error(url: str, error: BaseException) -> RegistryError:
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return RegistryError(
            f"{origin(url)}: its certificate is not trusted ({text[:200]})\n"
            "  for a private authority give its certificates with --ca_file, or set SSL_CERT_FILE"
        )
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        return NotTlsError(f"{origin(url)}: does not speak TLS; --insecure allows plain HTTP")
    return BrokenConnectionError(f"{origin(url)}: the encrypted connection broke: {text[:200]}")

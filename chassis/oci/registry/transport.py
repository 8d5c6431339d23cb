"""HTTP to a registry: bounded in size and time, redirects followed without credentials, transient faults
retried."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import urllib3

from chassis.oci.registry.connections import BLOCK_BYTES, IO_SECONDS, Addresses, Connections
from chassis.oci.registry.deadline import Deadline
from chassis.oci.registry.errors import (
    AnswerError,
    BrokenConnectionError,
    CancelledError,
    NotTlsError,
    RegistryError,
    TooSlowError,
    UnreachableError,
    UntrustedCertificateError,
)
from chassis.oci.registry.origin import origin, resolve
from chassis.oci.registry.request import Content, Request, Response, Sink

CONNECT_SECONDS = 15.0
MAX_ANSWER_BYTES = 4 << 20
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)


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
        return min(self.first * 2.0**attempt, self.longest) * random.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Patience:
    """How slow an answer may be: `seconds` for a whole one, however it drips; a body that goes to a sink has as long
    for each `least_bytes` of it."""

    seconds: float = 120.0
    least_bytes: int = 256 << 10


class Cancellation:
    """Tells several threads to give up; waits end early when it is set."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Gives up."""
        self._event.set()

    def reset(self) -> None:
        """Goes on, once all work that was given up has ended."""
        self._event.clear()

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
        patience: Patience | None = None,
        addresses: Addresses | None = None,
    ) -> None:
        """`connections` is how many are kept open to one host.

        `ca_file` holds PEM certificates trusted beside the system's and those of `SSL_CERT_FILE`.
        With `addresses`, nothing else is connected to, neither for a redirect nor for a token server.
        """
        self.backoff = backoff or Backoff()
        self.cancellation = cancellation or Cancellation()
        self._patience = patience or Patience()
        self._connections = Connections(connections, ca_file, addresses)

    def send(self, request: Request, attempts: int | None = None, sink: Sink | None = None) -> Response:
        """Sends a request, again after transient faults if that is safe to decide here.

        `attempts` 1 leaves retrying to the caller. A `sink` takes the body of a good answer, which is then not in the
        `Response`.

        Raises:
          UnreachableError: no answer after every attempt. AnswerError: the answer is oversized, malformed or endless,
            or redirects somewhere it should not.
        """
        attempts = attempts or self.backoff.attempts
        for attempt in range(attempts):
            self.cancellation.check()
            last = attempt == attempts - 1
            try:
                answer = self._follow(request, sink)
            except UnreachableError:
                if last:
                    raise
                self.cancellation.sleep(self.backoff.wait(attempt))
                continue
            if last or answer.status not in TRANSIENT_STATUSES:
                return answer
            self.cancellation.sleep(self.backoff.wait(attempt, answer.retry_after))
        raise AssertionError("unreachable")

    def _follow(self, request: Request, sink: Sink | None) -> Response:
        first = request
        for _ in range(_MAX_REDIRECTS):
            answer = self._exchange(request, sink)
            location = answer.header("Location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            if answer.status in (301, 302, 303) and request.method not in ("GET", "HEAD"):
                return answer
            request = request.redirected(resolve(request.url, location))
        raise AnswerError(f"{origin(first.url)}: redirects more than {_MAX_REDIRECTS} times")

    def _exchange(self, request: Request, sink: Sink | None) -> Response:
        where = origin(request.url)
        content = request.body if isinstance(request.body, Content) else None
        body = content.open() if content else None
        headers = {**request.headers, **({"Content-Length": str(content.size)} if content else {})}
        deadline = Deadline(self._patience.seconds, self._patience.least_bytes if sink else 0)
        try:
            with self._connections.timed(deadline):
                response = self._connections.manager(request.url).request(
                    request.method,
                    request.url,
                    headers=headers,
                    body=body.blocks() if body is not None else request.body,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                    timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=IO_SECONDS),
                )
                return self._read(response, request, sink, deadline)
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.NameResolutionError) as error:
            raise UnreachableError(f"{where} cannot be reached: {_reason(error)}") from None
        except urllib3.exceptions.ConnectTimeoutError:
            raise UnreachableError(f"{where} cannot be reached: no answer within {CONNECT_SECONDS:g} s") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if deadline.expired:
                raise TooSlowError(f"{where}: {_slowness(self._patience, sink)}") from None
            if isinstance(error, urllib3.exceptions.SSLError):
                raise _tls_error(where, error) from None
            raise BrokenConnectionError(f"{where}: the connection broke: {_reason(error)}") from None
        finally:
            if body is not None:
                body.close()

    def _read(
        self, response: urllib3.BaseHTTPResponse, request: Request, sink: Sink | None, deadline: Deadline
    ) -> Response:
        headers = urllib3.HTTPHeaderDict(response.headers)
        try:
            if sink and response.status in (200, 206):
                answer = Response(response.status, headers, b"", request.url)
                sink.begin(answer)
                while data := response.read1(BLOCK_BYTES):
                    self.cancellation.check()
                    deadline.moved(len(data))
                    sink.write(data)
            else:
                answer = Response(response.status, headers, self._whole(response, request), request.url)
            if deadline.expired:  # the end of a connection may look like that of the body
                raise TooSlowError(f"{origin(request.url)}: {_slowness(self._patience, sink)}")
            return answer
        except RegistryError:
            response.close()  # what is left of the body would be read as the next answer
            raise
        finally:
            response.release_conn()

    def _whole(self, response: urllib3.BaseHTTPResponse, request: Request) -> bytes:
        parts: list[bytes] = []
        size = 0
        while request.method != "HEAD" and (data := response.read1(BLOCK_BYTES)):
            parts.append(data)
            size += len(data)
            if size > MAX_ANSWER_BYTES:
                raise AnswerError(f"{origin(request.url)}: an answer of more than {MAX_ANSWER_BYTES} bytes")
        return b"".join(parts)


def _slowness(patience: Patience, sink: Sink | None) -> str:
    share = f"{patience.least_bytes} bytes of a body" if sink else "an answer"
    return f"{share} took over {patience.seconds:g} s"


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


def _tls_error(where: str, error: BaseException) -> RegistryError:
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return UntrustedCertificateError(f"{where}: its certificate is not trusted ({text[:200]})")
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        return NotTlsError(f"{where}: does not speak TLS")
    return BrokenConnectionError(f"{where}: the encrypted connection broke: {text[:200]}")

"""Uploads one blob: found already there, or streamed, resumed when a connection breaks, verified by the
answer.

Specification: OCI distribution specification 1.1, "Pushing Blobs". A blob goes in one PATCH, which every
registry takes; after a break the registry is asked how far it came.
"""

from __future__ import annotations

import functools
import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass

from chassis.oci.descriptor import Descriptor
from chassis.oci.registry.blob_source import BlobSource
from chassis.oci.registry.errors import (
    AnswerError,
    AuthenticationError,
    BrokenConnectionError,
    RegistryError,
    StatusError,
    UnreachableError,
)
from chassis.oci.registry.origin import resolve
from chassis.oci.registry.request import Body, Content, Request, Response
from chassis.oci.registry.session import Session, status_error
from chassis.oci.registry.transport import TRANSIENT_STATUSES

# Up to here a blob goes with the request that completes it, which saves a round trip.
_SINGLE_REQUEST_BYTES = 1 << 20
# Size of pieces once an upload broke: less is lost when it breaks again.
_PIECE_BYTES = 32 << 20
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_OCTETS = {"Content-Type": "application/octet-stream"}

UPLOADED, MOUNTED, SKIPPED = "uploaded", "mounted", "skipped"
# Called with the number of bytes that went out, negative if they have to go again.
Progress = Callable[[int], None]


class _Restart(Exception):
    """The upload is lost and begins anew; carries what happened."""

    def __init__(self, cause: RegistryError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(frozen=True, slots=True)
class RepositoryAccess:
    """Where blobs go: a session, the repository's path, and the scopes that its requests need."""

    session: Session
    path: str
    scopes: tuple[str, ...]

    def url(self, rest: str) -> str:
        """The URL of something in the repository."""
        return f"{self.session.base}/v2/{self.path}/{rest}"

    def send(self, request: Request, attempts: int | None = None) -> Response:
        """Sends a request with the repository's authorization; see `Session.send`."""
        return self.session.send(request, self.scopes, attempts)


class BlobUpload:
    """The upload of one blob from where it is."""

    def __init__(
        self, target: RepositoryAccess, descriptor: Descriptor, source: Callable[[], BlobSource], progress: Progress
    ) -> None:
        """`source` says where the blob is; it is asked once, and not for a blob that is mounted."""
        self._target = target
        self._session = target.session
        self._descriptor = descriptor
        self._find_source = source
        self._progress = progress
        self._sent = 0
        self._piece = descriptor.size
        self._least_piece = 0
        self._what = f"blob {descriptor.digest} ({descriptor.size} bytes)"

    def run(self, mount_from: str = "") -> str:
        """Brings the blob to the registry; `mount_from` is a repository there that may have it. Returns how
        it went.

        Raises:
          RegistryError: it cannot be had there, with the reason; nothing refers to it yet.
        """
        backoff = self._session.transport.backoff
        failures = 0
        while True:
            try:
                return self._attempt(mount_from if not failures else "")
            except _Restart as restart:
                failures += 1
                self._report(-self._sent)
                if failures >= backoff.attempts:
                    raise restart.cause from None
                self._session.transport.cancellation.sleep(backoff.wait(failures - 1))
                if blob_exists(self._target, self._descriptor):  # the break may have eaten only the answer
                    return UPLOADED

    def _attempt(self, mount_from: str) -> str:
        url = self._target.url("blobs/uploads/")
        answer = self._mount(url, mount_from) if mount_from else None
        if answer and answer.status == 201:
            self._verify(answer)
            return MOUNTED
        _ = self._source  # a blob that cannot be had begins no upload
        if not answer or answer.status != 202:  # a refused mount begins an upload, or should
            answer = self._target.send(Request("POST", url, body=b""))
        if answer.status != 202:
            raise status_error(answer, f"{self._what}: starting its upload")
        location = self._location(answer)
        least = answer.header("OCI-Chunk-Min-Length")
        self._least_piece = int(least) if least.isdigit() and len(least) < 16 else 0
        if self._descriptor.size > _SINGLE_REQUEST_BYTES:
            location = self._send_pieces(location)
        self._complete(location)
        return UPLOADED

    @functools.cached_property
    def _source(self) -> BlobSource:
        return self._find_source()

    def _mount(self, url: str, source: str) -> Response | None:
        """Asks for the blob of another repository; None if that may not even be asked."""
        query = urllib.parse.urlencode({"mount": self._descriptor.digest, "from": source})
        scopes = (*self._target.scopes, f"repository:{source}:pull")
        try:
            return self._session.send(Request("POST", f"{url}?{query}", body=b""), scopes)
        except AuthenticationError:
            return None

    def _send_pieces(self, location: str) -> str:
        """Streams the blob; returns the location that completes the upload."""
        offset, failures = 0, 0
        size = self._descriptor.size
        while offset < size:
            end = min(size, offset + self._piece)
            # One request for all of it is a stream, which carries no range; pieces do.
            headers = dict(_OCTETS)
            if offset or end < size:
                headers["Content-Range"] = f"{offset}-{end - 1}"
            cause: RegistryError
            try:
                answer = self._target.send(Request("PATCH", location, headers, self._body(offset, end)), attempts=1)
                if answer.status in (202, 204):
                    offset, failures, location = end, 0, self._location(answer)
                    continue
                cause = status_error(answer, f"{self._what}: sending it")
                if answer.status not in TRANSIENT_STATUSES and answer.status not in (404, 416):
                    raise cause
                wait = answer.retry_after
            except UnreachableError as error:
                cause, wait = error, None
            failures += 1
            self._piece = min(self._piece, max(_PIECE_BYTES, self._least_piece))
            if failures >= self._session.transport.backoff.attempts:
                raise cause
            self._session.transport.cancellation.sleep(self._session.transport.backoff.wait(failures - 1, wait))
            reached, location = self._resume(location, cause)
            failures = 0 if reached > offset else failures
            offset = reached
            self._report(offset - self._sent)
        return location

    def _resume(self, location: str, cause: RegistryError) -> tuple[int, str]:
        """Asks the registry how many bytes it has; raises `_Restart` if it lost the upload."""
        try:
            answer = self._target.send(Request("GET", location))
        except UnreachableError as error:
            raise _Restart(error) from None
        match = _RANGE.fullmatch(answer.header("Range"))
        if answer.status not in (202, 204) or match is None:
            raise _Restart(cause)
        last = int(match[1])
        reached = last + 1 if last else 0  # `0-0` is what registries say of nothing, and costs one byte at most
        if reached > self._descriptor.size:
            raise AnswerError(f"{self._what}: the registry says that it has {reached} bytes of it")
        moved = answer.header("Location")
        return reached, resolve(answer.url, moved) if moved else location

    def _complete(self, location: str) -> None:
        """Ends the upload; a small blob goes along."""
        joint = "&" if urllib.parse.urlsplit(location).query else "?"
        url = location + joint + urllib.parse.urlencode({"digest": self._descriptor.digest})
        size = self._descriptor.size
        along = size <= _SINGLE_REQUEST_BYTES
        try:
            answer = self._target.send(Request("PUT", url, _OCTETS, self._body(0, size) if along else b""), attempts=1)
        except BrokenConnectionError as broken:
            raise _Restart(broken) from None
        if answer.status in (201, 204):
            self._verify(answer)
            return
        error = status_error(answer, f"{self._what}: completing its upload")
        if "DIGEST_INVALID" in error.codes or "BLOB_UPLOAD_INVALID" in error.codes:
            self._explain_digest(error)
            raise _Restart(error)
        if answer.status in TRANSIENT_STATUSES or answer.status == 404:
            raise _Restart(error)
        raise error

    def _verify(self, answer: Response) -> None:
        """The registry must say that it has this digest; one that says nothing is asked."""
        said = answer.header("Docker-Content-Digest")
        if said and said != self._descriptor.digest:
            raise AnswerError(f"{self._what}: the registry stored it as {said[:100]!r}; nothing was tagged")
        if not said and not blob_exists(self._target, self._descriptor):
            raise AnswerError(f"{self._what}: the registry accepted it but does not have it; nothing was tagged")

    def _explain_digest(self, error: StatusError) -> None:
        defect = self._source.defect(self._descriptor)
        if defect:
            raise RegistryError(defect) from error

    def _location(self, answer: Response) -> str:
        location = answer.header("Location")
        if not location:
            raise AnswerError(f"{self._what}: the registry's answer {answer.status} has no Location")
        return resolve(answer.url, location)

    def _body(self, start: int, end: int) -> Content:
        def open_body() -> Body:
            self._report(start - self._sent)
            return self._source.body(start, end, self._report, self._session.transport.cancellation.check)

        return Content(open_body, end - start)

    def _report(self, count: int) -> None:
        self._sent += count
        if count:
            self._progress(count)


def blob_exists(target: RepositoryAccess, descriptor: Descriptor) -> bool:
    """Whether the registry has a blob; one of another size than the descriptor's is an error."""
    answer = target.send(Request("HEAD", target.url(f"blobs/{descriptor.digest}")))
    if answer.status == 404:
        return False
    if answer.status != 200:
        raise status_error(answer, f"blob {descriptor.digest}: asking for it")
    length = answer.header("Content-Length")
    if length and length != str(descriptor.size):
        raise AnswerError(f"blob {descriptor.digest}: the registry has {length[:20]} bytes, expected {descriptor.size}")
    return True

"""Downloads one blob into a file: streamed, resumed when a connection breaks, digest and size checked.

Specification: OCI distribution specification 1.1, "Pulling Blobs"; ranges by RFC 9110, section 14.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import BinaryIO

from chassis.oci.descriptor import Descriptor
from chassis.oci.registry.errors import AnswerError, RegistryError, UnreachableError
from chassis.oci.registry.request import Request, Response
from chassis.oci.registry.session import status_error
from chassis.oci.registry.transport import TRANSIENT_STATUSES
from chassis.oci.registry.upload import RepositoryAccess

_ADVANCE_BYTES = 256 << 10  # a connection that brings less has failed: a registry may not drip for ever
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/(?:[0-9]{1,18}|\*)")


class BlobDownload:
    """The download of one blob; the file appears when it is whole."""

    def __init__(self, target: RepositoryAccess, descriptor: Descriptor, file: Path) -> None:
        self._target = target
        self._descriptor = descriptor
        self._file = file
        self._what = f"blob {descriptor.digest} ({descriptor.size} bytes)"
        self._state = hashlib.sha256()
        self._offset = 0
        self._stream: BinaryIO | None = None

    def run(self) -> None:
        """Brings the blob; nothing is left of one that fails.

        Raises:
          RegistryError: it cannot be had. AnswerError: what came is not what the descriptor says.
        """
        part = self._file.with_name(self._file.name + ".part")
        try:
            with part.open("wb") as self._stream:
                self._fetch()
            found = f"sha256:{self._state.hexdigest()}"
            if found != self._descriptor.digest:
                raise AnswerError(f"{self._what}: the registry's bytes have the digest {found}")
            part.replace(self._file)
        finally:
            part.unlink(missing_ok=True)

    def _fetch(self) -> None:
        transport = self._target.session.transport
        failures = 0
        while self._offset < self._descriptor.size or not self._offset:
            before = self._offset
            headers = {"Range": f"bytes={before}-"} if before else {}
            request = Request("GET", self._target.url(f"blobs/{self._descriptor.digest}"), headers)
            wait: float | None = None
            cause: RegistryError
            try:
                answer = self._target.session.send(request, self._target.scopes, attempts=1, sink=self)
                if answer.status in (200, 206):
                    cause = AnswerError(f"{self._what}: the registry sent {self._offset} bytes of it")
                    if self._offset == self._descriptor.size:
                        return
                else:
                    cause, wait = status_error(answer, f"{self._what}: fetching it"), answer.retry_after
                    if answer.status not in TRANSIENT_STATUSES:
                        raise cause
            except UnreachableError as error:
                cause = error
            failures = 1 if self._offset - before >= _ADVANCE_BYTES else failures + 1
            if failures >= transport.backoff.attempts:
                raise cause
            transport.cancellation.sleep(transport.backoff.wait(failures - 1, wait))

    def begin(self, answer: Response) -> None:
        """Goes on where the answer does: at the offset that was asked for, or from the start."""
        assert self._stream is not None
        match = _RANGE.fullmatch(answer.header("Content-Range")) if answer.status == 206 else None
        if answer.status == 206 and (match is None or int(match[1]) != self._offset):
            raise AnswerError(f"{self._what}: the registry answers with another range than {self._offset}-")
        if answer.status == 200 and self._offset:  # a registry without ranges
            self._stream.seek(0)
            self._stream.truncate()
            self._state, self._offset = hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        """Takes the next bytes; more than the descriptor says are an error at once."""
        assert self._stream is not None
        self._offset += len(data)
        if self._offset > self._descriptor.size:
            raise AnswerError(f"{self._what}: the registry sends more bytes than that")
        self._state.update(data)
        self._stream.write(data)

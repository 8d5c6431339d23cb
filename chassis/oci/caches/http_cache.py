"""Bazel's HTTP cache (`--remote_cache=https://…`): GET and HEAD of `/cas/<SHA-256>`.

Specification: https://bazel.build/remote/caching#http-caching
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import urllib3

from chassis.oci import digest as digests
from chassis.oci.descriptor import Descriptor
from chassis.oci.registry.blob_source import BlobSource, Check, Moved, SourceError, StreamedBody
from chassis.oci.registry.connections import BLOCK_BYTES, IO_SECONDS, Connections
from chassis.oci.registry.deadline import Deadline
from chassis.oci.registry.errors import RegistryError
from chassis.oci.registry.origin import origin
from chassis.oci.registry.request import Body
from chassis.oci.registry.transport import CONNECT_SECONDS

_HEAD_SECONDS = 120.0  # for an answer to begin


class HttpCache:
    """The cache at a URL. Redirects are not followed: the headers are for the cache alone."""

    def __init__(self, url: str, headers: Mapping[str, str], ca_file: Path | None = None) -> None:
        self.url = url.rstrip("/")
        self.headers = dict(headers)
        self._connections = Connections(8, ca_file)

    def find(self, blobs: Sequence[Descriptor]) -> Mapping[str, BlobSource]:
        """Those that the cache says it has.

        Raises:
          RegistryError: the cache refuses to say, such as for want of credentials.
        """
        found: dict[str, BlobSource] = {}
        for blob in blobs:
            response = self.ask("HEAD", blob.digest)
            response.drain_conn()
            if response.status == 404:
                continue
            if response.status != 200:
                raise RegistryError(f"remote cache {origin(self.url)}: answers {response.status}")
            found[blob.digest] = _HttpBlob(self, blob)
        return found

    def ask(self, method: str, digest: str, start: int = 0) -> urllib3.BaseHTTPResponse:
        """An answer whose body is still to be read.

        Raises:
          SourceError: there is none.
        """
        url = f"{self.url}/cas/{digests.hex_of(digest)}"
        headers = self.headers | ({"Range": f"bytes={start}-"} if start else {})
        try:
            with self._connections.timed(Deadline(_HEAD_SECONDS)):
                return self._connections.manager(url).request(
                    method,
                    url,
                    headers=headers,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                    timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=IO_SECONDS),
                )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise SourceError(f"remote cache {origin(self.url)}: {str(error)[:300]}") from None


class _HttpBlob:
    def __init__(self, cache: HttpCache, blob: Descriptor) -> None:
        self._cache = cache
        self._blob = blob
        self.where = f"remote cache {origin(cache.url)}"

    def body(self, start: int, end: int, moved: Moved, check: Check) -> Body:
        return StreamedBody(self.where, lambda offset: self._open(offset, end), start, end, moved, check)

    def defect(self, descriptor: Descriptor) -> str:
        return ""

    def _open(self, start: int, end: int) -> _HttpStream:
        response = self._cache.ask("GET", self._blob.digest, start)
        if response.status not in (200, 206):
            response.close()
            raise SourceError(f"{self.where}: answers {response.status} for {self._blob.digest}")
        return _HttpStream(self.where, response, start if response.status == 200 else 0, end - start)


class _HttpStream:
    """The part of an answer's body that is wanted: a cache without ranges gives all of it."""

    def __init__(self, where: str, response: urllib3.BaseHTTPResponse, skipped: int, wanted: int) -> None:
        self._where = where
        self._response = response
        self._skipped = skipped
        self._wanted = wanted

    def pieces(self) -> Iterator[bytes]:
        skipped, wanted = self._skipped, self._wanted
        try:
            while wanted and (piece := self._response.read1(BLOCK_BYTES)):
                dropped = min(skipped, len(piece))
                skipped -= dropped
                piece = piece[dropped : dropped + wanted]
                wanted -= len(piece)
                if piece:
                    yield piece
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise SourceError(f"{self._where}: {str(error)[:300]}") from None

    def close(self) -> None:
        self._response.close()

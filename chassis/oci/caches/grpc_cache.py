"""A cache that speaks the Remote Execution API (`--remote_cache=grpcs://…`): what is missing, and bytes as a stream.

Specification: https://github.com/bazelbuild/remote-apis, ContentAddressableStorage and ByteStream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from chassis.oci import digest as digests
from chassis.oci.caches import remote_cache_pb2 as messages
from chassis.oci.descriptor import Descriptor
from chassis.oci.registry.blob_source import BlobSource, Check, Moved, SourceError, StreamedBody
from chassis.oci.registry.errors import RegistryError
from chassis.oci.registry.request import Body

_FIND = "/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs"
_READ = "/google.bytestream.ByteStream/Read"
_ASK_SECONDS = 60.0
_READ_SECONDS = 3600.0
_MAX_ASKED = 1000
_OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.keepalive_time_ms", 30_000)]


@dataclass(frozen=True, slots=True)
class GrpcTls:
    """PEM files: authorities beside the system's, and who the client is."""

    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class GrpcCache:
    """The cache at `host:port`, without TLS if `tls` is None."""

    def __init__(self, target: str, instance: str, headers: Mapping[str, str], tls: GrpcTls | None) -> None:
        self.where = f"remote cache {target}"
        self.instance = instance
        self.metadata = [(name.lower(), value) for name, value in headers.items()]
        if tls is None:
            channel = grpc.insecure_channel(target, _OPTIONS)
        else:
            pem = [path.read_bytes() if path else None for path in (tls.authorities, tls.key, tls.certificate)]
            channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(*pem), _OPTIONS)
        self._find = channel.unary_unary(
            _FIND, messages.FindMissingBlobsRequest.SerializeToString, messages.FindMissingBlobsResponse.FromString
        )
        self.read = channel.unary_stream(
            _READ, messages.ReadRequest.SerializeToString, messages.ReadResponse.FromString
        )

    def find(self, blobs: Sequence[Descriptor]) -> Mapping[str, BlobSource]:
        """Those that the cache does not say are missing.

        Raises:
          RegistryError: it cannot be asked.
        """
        found: dict[str, BlobSource] = {}
        for start in range(0, len(blobs), _MAX_ASKED):
            batch = blobs[start : start + _MAX_ASKED]
            request = messages.FindMissingBlobsRequest(
                instance_name=self.instance,
                blob_digests=[
                    messages.Digest(hash=digests.hex_of(blob.digest), size_bytes=blob.size) for blob in batch
                ],
            )
            try:
                answer = self._find(request, metadata=self.metadata, timeout=_ASK_SECONDS)
            except grpc.RpcError as error:
                raise RegistryError(f"{self.where}: {_words(error)}") from None
            missing = {digest.hash for digest in answer.missing_blob_digests}
            found |= {
                blob.digest: _GrpcBlob(self, blob) for blob in batch if digests.hex_of(blob.digest) not in missing
            }
        return found


class _GrpcBlob:
    def __init__(self, cache: GrpcCache, blob: Descriptor) -> None:
        self.where = cache.where
        self._cache = cache
        name = f"blobs/{digests.hex_of(blob.digest)}/{blob.size}"
        self._name = f"{cache.instance}/{name}" if cache.instance else name

    def body(self, start: int, end: int, moved: Moved, check: Check) -> Body:
        return StreamedBody(self.where, lambda offset: self._open(offset, end), start, end, moved, check)

    def defect(self, descriptor: Descriptor) -> str:
        return ""

    def _open(self, start: int, end: int) -> _GrpcStream:
        request = messages.ReadRequest(resource_name=self._name, read_offset=start, read_limit=end - start)
        call = self._cache.read(request, metadata=self._cache.metadata, timeout=_READ_SECONDS)
        return _GrpcStream(self.where, call)


class _GrpcStream:
    def __init__(self, where: str, call: Any) -> None:
        self._where = where
        self._call = call

    def pieces(self) -> Iterator[bytes]:
        try:
            for answer in self._call:
                if answer.data:
                    yield answer.data
        except grpc.RpcError as error:
            raise SourceError(f"{self._where}: {_words(error)}") from None

    def close(self) -> None:
        self._call.cancel()


def _words(error: grpc.RpcError) -> str:
    code, details = error.code(), error.details() or ""
    return f"{code.name if code else 'failed'}: {' '.join(details.split())[:300]}"

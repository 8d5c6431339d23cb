"""A remote cache for tests: ContentAddressableStorage and ByteStream over real gRPC on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any, Self

import grpc

from chassis.oci import digest as digests
from chassis.oci.caches import remote_cache_pb2 as messages

_PIECE = 64 << 10


class CasServer:
    """Serves `blobs`, added with `add`; a context manager.

    `asked` are the blobs of each FindMissingBlobs, `reads` the name and offset of each Read. `breaks` is how many reads
    are to break off, each after `break_after` bytes. `headers` are those that a call must have.
    """

    def __init__(self, instance: str = "", headers: dict[str, str] | None = None) -> None:
        self.instance = instance
        self.headers = headers or {}
        self.blobs: dict[str, bytes] = {}
        self.asked: list[list[str]] = []
        self.reads: list[tuple[str, int]] = []
        self.breaks = 0
        self.break_after = 0
        self.sent = 0
        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        find = grpc.unary_unary_rpc_method_handler(
            self._find,
            messages.FindMissingBlobsRequest.FromString,
            messages.FindMissingBlobsResponse.SerializeToString,
        )
        read = grpc.unary_stream_rpc_method_handler(
            self._read, messages.ReadRequest.FromString, messages.ReadResponse.SerializeToString
        )
        storage = "build.bazel.remote.execution.v2.ContentAddressableStorage"
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(storage, {"FindMissingBlobs": find}),
                grpc.method_handlers_generic_handler("google.bytestream.ByteStream", {"Read": read}),
            )
        )
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()

    def add(self, data: bytes) -> str:
        """Keeps a blob; returns its digest."""
        digest = digests.of_bytes(data)
        self.blobs[digests.hex_of(digest)] = data
        return digest

    def _check(self, context: Any) -> None:
        got = {name: value for name, value in context.invocation_metadata()}
        if any(got.get(name.lower()) != value for name, value in self.headers.items()):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "who is asking?")

    def _find(self, request: Any, context: Any) -> Any:
        self._check(context)
        self.asked.append([digest.hash for digest in request.blob_digests])
        if request.instance_name != self.instance:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no instance {request.instance_name}")
        missing = [digest for digest in request.blob_digests if digest.hash not in self.blobs]
        return messages.FindMissingBlobsResponse(missing_blob_digests=missing)

    def _read(self, request: Any, context: Any) -> Iterator[Any]:
        self._check(context)
        prefix = f"{self.instance}/blobs/" if self.instance else "blobs/"
        name, _, size = request.resource_name.removeprefix(prefix).partition("/")
        with self._lock:
            self.reads.append((name, request.read_offset))
            breaks, self.breaks = self.breaks > 0, max(0, self.breaks - 1)
        data = self.blobs.get(name)
        if data is None or int(size) != len(data) or not request.resource_name.startswith(prefix):
            context.abort(grpc.StatusCode.NOT_FOUND, "no such blob")
            return
        end = request.read_offset + request.read_limit if request.read_limit else len(data)
        data = data[request.read_offset : end]
        for start in range(0, len(data), _PIECE):
            if breaks and start >= self.break_after:
                context.abort(grpc.StatusCode.UNAVAILABLE, "breaks off")
            piece = data[start : start + _PIECE]
            self.sent += len(piece)
            yield messages.ReadResponse(data=piece)

"""Speaks Open Model Interface to a server under test: health, Run, Shutdown (gRPC service `ModzyModel`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.errors import ChassisError
from chassis.image_test.comparison import ItemResult
from chassis.runtime import omi_pb2

_PROBE_SECONDS = 5.0
_POLL_SECONDS = 0.05
_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
)


class CallError(ChassisError):
    """The server did not answer a call, or answered that it failed as a whole."""


class OmiClient:
    """A connection to one server on this machine; use it as a context manager."""

    def __init__(self, port: int, *, host: str = "127.0.0.1") -> None:
        self._channel = grpc.insecure_channel(f"{host}:{port}", options=_OPTIONS)
        self._health = health_pb2_grpc.HealthStub(self._channel)
        self._run = self._method("Run", omi_pb2.RunRequest, omi_pb2.RunResponse)
        self._shutdown = self._method("Shutdown", omi_pb2.ShutdownRequest, omi_pb2.ShutdownResponse)

    def _method(self, name: str, request: type, response: type) -> grpc.UnaryUnaryMultiCallable:
        return self._channel.unary_unary(
            f"/ModzyModel/{name}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )

    def __enter__(self) -> OmiClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def wait_until_serving(self, seconds: float, gone: Callable[[float], bool]) -> str:
        """Waits until the server's health is SERVING.

        `gone(seconds)` waits that long and tells whether the server ended meanwhile. Returns "" when it
        serves, else what was last seen: the server ended, or did not serve within `seconds`.
        """
        end = time.monotonic() + seconds
        seen = "it never listened"
        while (left := end - time.monotonic()) > 0:
            if gone(_POLL_SECONDS):
                return "the server ended before it was ready"
            try:
                request = health_pb2.HealthCheckRequest()
                answer = self._health.Check(request, timeout=min(left, _PROBE_SECONDS))
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    seen = f"its health check answers {error.code().name}: {error.details()}"
                continue
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return ""
            status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            seen = f"its health is {status}"
        return f"the server was not ready after {seconds:g} s: {seen}"

    def run(self, inputs: Sequence[dict[str, bytes]], seconds: float) -> list[ItemResult]:
        """Sends one RunRequest and returns its items' answers.

        Raises:
          CallError: no answer within `seconds`, a gRPC error, or a status code other than 200.
        """
        request = omi_pb2.RunRequest(inputs=[omi_pb2.InputItem(input=item) for item in inputs])
        try:
            response = self._run(request, timeout=seconds)
        except grpc.RpcError as error:
            raise CallError(f"Run fails with {error.code().name}: {error.details()}") from None
        if response.status_code != 200:
            raise CallError(f"Run answers {response.status_code} {response.status}: {response.message}")
        return [ItemResult(item.success, dict(item.output)) for item in response.outputs]

    def shutdown(self, seconds: float) -> None:
        """Asks the server to end; an answer may be missing, since it may end first."""
        try:
            self._shutdown(omi_pb2.ShutdownRequest(), timeout=seconds)
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                raise CallError(f"Shutdown fails with {error.code().name}: {error.details()}") from None

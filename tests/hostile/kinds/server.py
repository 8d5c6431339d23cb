"""The server of an image under bytes of chance, over HTTP and as gRPC."""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2

from tests.hostile.kinds.kind import Finding
from tests.hostile.kinds.mutation import Mutation
from tests.hostile.server.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GO_AWAY,
    HEADERS,
    PING,
    PREFACE,
    RESET,
    SETTINGS,
    WINDOW_UPDATE,
    call,
    frame,
    header,
    message,
)
from tests.support.running_server import RunningServer, write_model

_SECONDS = 20.0
_QUIET = 0.1
_ALLOWED = (501, 503, 505)
_MAX_BYTES = 500 << 20
_SETTINGS = {"CHASSIS_HEAD_TIMEOUT": "3", "CHASSIS_TRANSFER_GRACE": "3", "CHASSIS_MAX_INFLIGHT_BYTES": str(64 << 20)}


class _Server:
    def __init__(self, folder: Path) -> None:
        self.server = RunningServer(write_model(folder, len), _SETTINGS)
        self.server.wait_health("SERVING")

    def look(self) -> None:
        if self.server.process.poll() is not None:
            raise Finding(f"ended with {self.server.process.returncode}: {self.server.lines[-20:]}")
        answer = send(self.server.http_port, _request("GET", "/v2/health/live", b"", close=True), _SECONDS)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise Finding(f"is not well over HTTP: {answer[:300]!r}")
        try:
            self.server.health.Check(health_pb2.HealthCheckRequest(), timeout=_SECONDS, wait_for_ready=True)
        except grpc.RpcError as error:
            raise Finding(f"is not well over gRPC: {error}") from None
        wrong = [line for line in self.server.lines if "Traceback" in line]
        if wrong:
            raise Finding(f"a defect of the server: {wrong[-1][:3000]}")
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        resident = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))
        if resident > _MAX_BYTES:
            raise Finding(f"took {resident >> 20} MiB")

    def close(self) -> None:
        self.server.__exit__(None, None, None)


def send(port: int, data: bytes, seconds: float = _QUIET) -> bytes:
    """What is answered to bytes, until it closes or says nothing for a moment."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as connection, contextlib.suppress(OSError):
        connection.sendall(data)
        connection.settimeout(seconds)
        while len(answer) < 1 << 20 and (part := connection.recv(1 << 16)):
            answer += part
    return answer


class Http:
    """Bytes to the port of HTTP."""

    def __init__(self, folder: Path) -> None:
        self._server = _Server(folder)
        v1 = json.dumps({"instances": ["abc", {"b64": "YWJj"}]}).encode()
        tensor = {"name": "input", "shape": [1], "datatype": "BYTES", "data": ["abc"]}
        v2 = json.dumps({"id": "1", "inputs": [tensor], "outputs": [{"name": "results.json"}]}).encode()
        binary = json.dumps({"inputs": [{**tensor, "data": None, "parameters": {"binary_data_size": 7}}]}).encode()
        chunked = b"POST /v1/models/tested:predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunked += b"%x\r\n%s\r\n0\r\nTrailer: a\r\n\r\n" % (len(v1), v1)
        samples = [
            _request("POST", "/v1/models/tested:predict", v1),
            _request("POST", "/v2/models/tested/infer", v2),
            _request(
                "POST",
                "/v2/models/tested/infer",
                binary + b"\3\0\0\0abc",
                f"Inference-Header-Content-Length: {len(binary)}",
            ),
            _request("POST", "/v2/models/tested/infer", v2, "Content-Encoding: gzip"),
            chunked,
            *(
                _request("GET", path)
                for path in ("/", "/v2", "/v2/models", "/metrics", "/openapi.json", "/v2/models/tested")
            ),
        ]
        words = [
            "Host: ",
            "Content-Length: ",
            "Transfer-Encoding: chunked\r\n",
            "Content-Encoding: deflate\r\n",
            "HTTP/1.0",
        ]
        words += [
            "Upgrade: h2c\r\nConnection: upgrade\r\n",
            "Expect: 100-continue\r\n",
            "Connection: close\r\n",
            "BYTES",
            "FP32",
        ]
        words += [
            '"shape": [',
            "null",
            "NaN",
            "1e999",
            "[" * 3000,
            "\\ud800",
            '"data": ',
            "BF16",
            '"b64"',
            "chunked",
            "gzip",
        ]
        words += [
            "binary_data_size",
            "parameters",
            "OPTIONS ",
            "HEAD ",
            "/v2/",
            "%ff",
            "?",
            "Origin: http://a\r\n",
            "0\r\n\r\n",
        ]
        self._mutation = Mutation(samples, [word.encode() for word in words])

    def make(self, chance: random.Random) -> bytes:
        return b"".join(self._mutation.make(chance) for _ in range(chance.choice((1, 1, 2, 4))))

    def attack(self, data: bytes) -> None:
        answer = send(self._server.server.http_port, data)
        for status in map(int, re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)):
            if status >= 500 and status not in _ALLOWED:
                raise Finding(f"answered with {status}: {answer[:500]!r}")

    def look(self) -> None:
        self._server.look()

    def close(self) -> None:
        self._server.close()


class Grpc:
    """Bytes to the port of gRPC: frames of HTTP/2, damaged."""

    def __init__(self, folder: Path) -> None:
        self._server = _Server(folder)
        infer = b"\x0a\x06tested\x2a\x15\x0a\x05input\x12\x05BYTES\x18\x01\x2a\x00\x3a\x07\x03\x00\x00\x00abc"
        calls = {
            b"/inference.GRPCInferenceService/ModelInfer": infer,
            b"/inference.GRPCInferenceService/ServerLive": b"",
            b"/grpc.health.v1.Health/Check": b"",
            b"/modzy.ModzyModel/Run": b"\x0a\x0d\x0a\x0b\x0a\x05input\x12\x02ab",
            b"/modzy.ModzyModel/Status": b"",
            b"/no.Such/Method": b"abc",
        }
        samples = []
        for path, content in calls.items():
            for more in ((), (header(b"grpc-encoding", b"gzip"),), (header(b"grpc-timeout", b"1n"),)):
                head = frame(HEADERS, END_HEADERS, 1, call(path, *more))
                samples.append(PREFACE + frame(SETTINGS) + head + frame(DATA, END_STREAM, 1, message(content)))
        extra = [
            frame(SETTINGS, ACK),
            frame(SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"),
            frame(PING, 0, 0, b"12345678"),
            frame(RESET, 0, 1, b"\0\0\0\x08"),
            frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
            frame(GO_AWAY, 0, 0, bytes(8)),
            frame(CONTINUATION, END_HEADERS, 1, b"\x82"),
            frame(HEADERS, END_HEADERS | END_STREAM, 3, call(b"/grpc.health.v1.Health/Watch")),
            frame(DATA, 0, 1, message(b"abc", length=1 << 31)),
            frame(DATA, END_STREAM, 1, message(b"abc", compressed=True)),
            b"\x0a" * 500,
        ]
        self._mutation = Mutation([*samples, *(sample + more for sample in samples[:4] for more in extra)], extra)

    def make(self, chance: random.Random) -> bytes:
        made = self._mutation.make(chance)
        # Mostly the beginning is right: nothing else gets further than that.
        return made if chance.random() < 0.1 else PREFACE + frame(SETTINGS) + made[len(PREFACE) + 9 :]

    def attack(self, data: bytes) -> None:
        send(self._server.server.port, data, 0.03)

    def look(self) -> None:
        self._server.look()

    def close(self) -> None:
        self._server.close()


def _request(method: str, path: str, body: bytes = b"", more: str = "", *, close: bool = False) -> bytes:
    """A request that is right."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *([more] if more else [])]
    lines += [f"Content-Length: {len(body)}"] if body else []
    lines += ["Connection: close"] if close else []
    return "\r\n".join([*lines, "", ""]).encode() + body

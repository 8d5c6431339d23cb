"""A server on loopback that answers with any bytes at all, at any pace, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import resource
import socketserver
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support.loopback_server import LoopbackServer

_BLOCK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it arrived; names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def has_log_in(self) -> bool:
        """Whether it has an Authorization header."""
        return "authorization" in self.headers


# The whole answer, head and body, at once or in pieces; a server waits for `HostileServer.stopped` between those.
Script = Callable[[Asked], "bytes | Iterable[bytes]"]


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    """An answer that tells the truth of its length; names of headers are given with `_` for `-`."""
    named = {"Content-Length": str(len(body))} | {name.replace("_", "-"): text for name, text in headers.items()}
    head = "".join(f"{name}: {text}\r\n" for name, text in named.items())
    return f"HTTP/1.1 {status} As Told\r\n{head}\r\n".encode() + body


def registry_that(answer: Script) -> Script:
    """A registry that says it is one, and gives this answer to everything else."""
    return lambda asked: reply(200, b"{}") if asked.path == "/v2/" else answer(asked)


def peak() -> int:
    """The most memory that this process had so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


class HostileServer(LoopbackServer):
    """Answers as its `script` says; a context manager. It keeps connections open, as registries do."""

    def __init__(self, script: Script, tls: tuple[Path, Path] | None = None) -> None:
        """`tls` is a certificate and its key, as PEM files."""
        self.script = script
        self.requests: list[Asked] = []
        self.stopped = threading.Event()
        server = _Server(("127.0.0.1", 0), _Handler)
        server.hostile = self
        super().__init__(server, tls)
        self.url = f"{'https' if tls else 'http'}://{self.address}"

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        super().__exit__()

    def drip(self, pieces: Iterable[bytes], seconds: float) -> Iterable[bytes]:
        """The pieces, each after a wait, until the server stops."""
        for piece in pieces:
            if self.stopped.wait(seconds):
                return
            yield piece


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    hostile: HostileServer

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is what the tests hope for."""


class _Handler(socketserver.StreamRequestHandler):
    server: _Server
    timeout = _BLOCK_SECONDS

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := self.rfile.readline():
                method, path, _ = line.decode().split(" ", 2)
                headers = {}
                while (line := self.rfile.readline().strip()) != b"":
                    name, _, value = line.decode().partition(":")
                    headers[name.lower()] = value.strip()
                asked = Asked(method, path, headers, self.rfile.read(int(headers.get("content-length", "0"))))
                self.server.hostile.requests.append(asked)
                answer = self.server.hostile.script(asked)
                for piece in [answer] if isinstance(answer, bytes) else answer:
                    self.wfile.write(piece)
                    self.wfile.flush()
                if not isinstance(answer, bytes):
                    return  # the end of a stream is that of its connection

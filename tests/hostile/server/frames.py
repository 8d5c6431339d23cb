"""Frames of HTTP/2 (RFC 9113) and calls of gRPC, written by hand: what no client library would send."""

from __future__ import annotations

import contextlib
import socket
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, RESET, SETTINGS, PING, GO_AWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """One frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def header(name: bytes, value: bytes) -> bytes:
    """A field that goes in no table (RFC 7541, 6.2.2)."""
    return b"\x00" + _length(len(name)) + name + _length(len(value)) + value


def call(path: bytes, *more: bytes) -> bytes:
    """The header block of a call of gRPC; `more` are further fields."""
    return b"".join(
        [
            header(b":method", b"POST"),
            header(b":scheme", b"http"),
            header(b":path", path),
            header(b":authority", b"a"),
            header(b"content-type", b"application/grpc"),
            header(b"te", b"trailers"),
            *more,
        ]
    )


def message(content: bytes, *, compressed: bool = False, length: int | None = None) -> bytes:
    """A message of gRPC with the length that it has, or claims."""
    return struct.pack(">BI", compressed, len(content) if length is None else length) + content


class Peer:
    """A connection that has said what HTTP/2 begins with; a context manager."""

    def __init__(self, port: int, timeout: float = 10.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.sendall(PREFACE + frame(SETTINGS))

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, content: bytes) -> bool:
        """Sends bytes; False if the server has ended the connection, or reads no more."""
        try:
            self.socket.sendall(content)
        except OSError:
            return False
        return True

    def ended(self, streams: int, timeout: float) -> bool:
        """Waits until the server has ended that many streams, or the connection; False after `timeout` seconds."""
        until = time.monotonic() + timeout
        received, over = bytearray(), set()
        while len(over) < streams:
            self.socket.settimeout(max(until - time.monotonic(), 0.001))
            try:
                part = self.socket.recv(65536)
            except TimeoutError:
                return False
            except OSError:
                return True
            if not part:
                return True
            received += part
            while len(received) >= 9 and len(received) >= 9 + int.from_bytes(received[:3]):
                kind, flags, stream = received[3], received[4], int.from_bytes(received[5:9])
                if kind == RESET or (kind in (HEADERS, DATA) and flags & END_STREAM):
                    over.add(stream)
                del received[: 9 + int.from_bytes(received[:3])]
        return True

    def rest(self, timeout: float = 5.0) -> bytes:
        """All that comes until the server closes, or is silent for `timeout` seconds."""
        self.socket.settimeout(timeout)
        received = b""
        with contextlib.suppress(OSError):
            while part := self.socket.recv(65536):
                received += part
        return received


def _length(size: int) -> bytes:
    """A length without Huffman coding (RFC 7541, 5.1)."""
    if size < 127:
        return bytes([size])
    result, size = bytearray([127]), size - 127
    while size >= 128:
        result.append(size % 128 + 128)
        size //= 128
    return bytes(result) + bytes([size])

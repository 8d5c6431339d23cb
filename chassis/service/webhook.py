"""Tells whoever asked for it that a job has ended, without letting a client reach what only the service can reach.

Addresses are checked and pinned, redirects are not followed, of an answer the status line is read and no more, and one
deadline holds for the whole of a call: name, connection, TLS, request and answer.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from chassis.build_api.webhook_signature import sign_webhook
from chassis.errors import ChassisError
from chassis.service.addresses import AddressError, AddressPolicy

_SECONDS = 10.0
_CLOSE_SECONDS = 5.0
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r?\n")
_MAX_STATUS_LINE = 1024
_SENDERS = 8
_AT_ONCE_OF_A_CLIENT = 2
_MAX_WAITING_OF_A_CLIENT = 1000


@dataclass(slots=True, eq=False)
class _Call:
    url: str
    client: str
    secret: str
    identifier: str
    body: bytes
    sent: Callable[[], None]
    tries: int = 0
    due: float = 0.0

    @property
    def host(self) -> str:
        return (urllib.parse.urlsplit(self.url).hostname or "").lower()


@dataclass(slots=True)
class _Busy:
    """What is being sent now, so that one host, or one client, does not hold all senders."""

    hosts: set[str] = field(default_factory=set)
    clients: dict[str, int] = field(default_factory=dict)


class Webhooks:
    """Sends final statuses, each tried a few times. A receiver may get one twice.

    One call at a time goes to a host, and a few of one client: a receiver that does not answer keeps no other waiting.
    """

    def __init__(
        self,
        addresses: AddressPolicy | None = None,
        pauses: Sequence[float] = (1.0, 5.0, 30.0),
        seconds: float = _SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`pauses` are the seconds before each further try, `seconds` what a whole call may take."""
        self._addresses = addresses or AddressPolicy("--webhook_hosts")
        self._pauses = pauses
        self._seconds = seconds
        self._tls = tls
        self._waiting: deque[_Call] = deque()
        self._busy = _Busy()
        self._changed = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []

    def check(self, url: str) -> None:
        """Refuses an address at once that no call would be sent to.

        Raises:
          AddressError: it is not public, and not on the operator's list.
        """
        parts = urllib.parse.urlsplit(url)
        try:
            self._addresses.check(parts.hostname or "", _port(parts))
        except AddressError as error:
            raise AddressError(f"webhook {url[:200]}: {error}") from None

    def call(
        self,
        url: str,
        document: Mapping[str, object],
        sent: Callable[[], None],
        *,
        client: str = "",
        secret: str = "",
        identifier: str = "",
    ) -> None:
        """Has `document` sent to `url` as JSON, signed with `secret`; `sent` is called after a status of 2xx.

        A client with very many calls in waiting loses its oldest.
        """
        body = json.dumps(document).encode()
        with self._changed:
            own = [call for call in self._waiting if call.client == client]
            if len(own) >= _MAX_WAITING_OF_A_CLIENT:
                self._waiting.remove(own[0])
            self._waiting.append(_Call(url, client, secret, identifier, body, sent))
            if len(self._threads) < _SENDERS and not self._closed:
                thread = threading.Thread(target=self._send_all, name="webhooks", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()

    def close(self) -> None:
        """Stops; what was not sent is sent after the next start."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        end = time.monotonic() + self._seconds + _CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _send_all(self) -> None:
        while (call := self._take()) is not None:
            taken = False
            with contextlib.suppress(ChassisError, OSError, ValueError):
                taken = 200 <= self._status(call) < 300
            with self._changed:
                self._busy.hosts.discard(call.host)
                self._busy.clients[call.client] -= 1
                if not taken and call.tries < len(self._pauses):
                    call.due = time.monotonic() + self._pauses[call.tries]
                    call.tries += 1
                    self._waiting.append(call)
                closed = self._closed
                self._changed.notify_all()
            if taken and not closed:
                call.sent()

    def _take(self) -> _Call | None:
        """The next call whose host and client are free, waiting for one; None once it is closed."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                call = next((call for call in self._waiting if call.due <= now and self._free(call)), None)
                if call is not None:
                    self._waiting.remove(call)
                    self._busy.hosts.add(call.host)
                    self._busy.clients[call.client] = self._busy.clients.get(call.client, 0) + 1
                    return call
                later = [call.due - now for call in self._waiting if call.due > now]
                self._changed.wait(min(later) if later else None)
            return None

    def _free(self, call: _Call) -> bool:
        return call.host not in self._busy.hosts and self._busy.clients.get(call.client, 0) < _AT_ONCE_OF_A_CLIENT

    def _status(self, call: _Call) -> int:
        """Sends the call once; returns the answer's status."""
        end = time.monotonic() + self._seconds
        parts = urllib.parse.urlsplit(call.url)
        host, port = parts.hostname or "", _port(parts)
        addresses = self._addresses.addresses(host, port, _left(end))
        headers = {
            "host": parts.netloc,
            "content-type": "application/json",
            "content-length": str(len(call.body)),
            "user-agent": "chassis-build-service",
            "connection": "close",
        }
        if call.secret:
            headers |= sign_webhook(call.secret, call.identifier, int(time.time()), call.body)
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        head = "".join(f"{line}\r\n" for line in (f"POST {target} HTTP/1.1", *map(": ".join, headers.items()), ""))
        if not head.isascii():
            raise ChassisError(f"webhook {call.url[:200]}: expected ASCII")
        with _connected(addresses, port, end) as plain, self._secured(plain, parts.scheme, host, end) as connection:
            _send(connection, head.encode() + call.body, end)
            return _read_status(connection, end)

    def _secured(self, plain: socket.socket, scheme: str, host: str, end: float) -> socket.socket:
        if scheme != "https":
            return plain
        context = self._tls or ssl.create_default_context()
        connection = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        try:
            connection.settimeout(_left(end))  # for all of the handshake, however it drips
            connection.do_handshake()
        except BaseException:
            connection.close()
            raise
        return connection


def _connected(addresses: Sequence[str], port: int, end: float) -> socket.socket:
    failure: OSError = OSError("no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), _left(end))
        except OSError as error:
            failure = error
    raise failure


def _send(connection: socket.socket, data: bytes, end: float) -> None:
    view = memoryview(data)
    while view:
        connection.settimeout(_left(end))
        view = view[connection.send(view) :]


def _read_status(connection: socket.socket, end: float) -> int:
    line = b""
    while b"\n" not in line:
        connection.settimeout(_left(end))
        data = connection.recv(_MAX_STATUS_LINE)
        line += data
        if not data or len(line) > 2 * _MAX_STATUS_LINE:
            break
    found = _STATUS_LINE.match(line)
    if not found:
        raise ChassisError("the receiver does not speak HTTP")
    return int(found[1])


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("the call's time is over")
    return left


def _port(parts: urllib.parse.SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)

"""Connections to registries, kept open: plain or over TLS, straight or through the proxies of the environment."""

from __future__ import annotations

import functools
import socket
import ssl
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from chassis.oci.registry.deadline import Deadline, DeadlineWatch
from chassis.oci.registry.errors import RegistryError
from chassis.oci.registry.file_body import FileBlock

IO_SECONDS = 60.0  # without a single byte moving
BLOCK_BYTES = 256 << 10
# The deadline of the request that a thread is at: urllib3 has no way to hand it down to the connection.
_current = threading.local()


# The addresses of a host, as numbers, that a connection to its port may be made to; raises what is to be said else.
Addresses = Callable[[str, int], Sequence[str]]


class Connections:
    """Makes what a request needs to get through; safe to use from several threads."""

    def __init__(self, kept: int, ca_file: Path | None, addresses: Addresses | None = None) -> None:
        """`kept` is how many connections to one host stay open; `ca_file` holds PEM certificates trusted beside the
        system's and those of `SSL_CERT_FILE`. With `addresses`, connections without a proxy are made to those only."""
        self._addresses = addresses
        self._kept = kept
        self._ca_file = ca_file
        self._managers: dict[tuple[str, str], urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        self._watch = DeadlineWatch()

    @contextmanager
    def timed(self, deadline: Deadline) -> Iterator[None]:
        """Holds the request of this thread to a deadline, which runs from where the server has to answer."""
        outer = getattr(_current, "deadline", None)  # of a request whose body another request brings
        _current.deadline = deadline
        self._watch.add(deadline)
        try:
            yield
        finally:
            self._watch.remove(deadline)
            _current.deadline = outer

    def manager(self, url: str) -> urllib3.PoolManager:
        """The pools to ask for a URL.

        Raises:
          RegistryError: the URL needs TLS, and `ca_file` has no certificates.
        """
        proxy = _proxy(url)
        scheme = urllib.parse.urlsplit(url).scheme
        with self._lock:
            if (proxy, scheme) not in self._managers:
                self._managers[proxy, scheme] = self._new_manager(proxy, encrypted=scheme == "https")
            return self._managers[proxy, scheme]

    def _new_manager(self, proxy: str, encrypted: bool) -> urllib3.PoolManager:
        encrypted = encrypted or proxy.startswith("https:")
        options = {
            "maxsize": self._kept,
            "block": False,
            "ssl_context": self._tls if encrypted else None,
            "blocksize": BLOCK_BYTES,
        }
        manager = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
        manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
        if self._addresses and not proxy:
            manager.pool_classes_by_scheme = _pools_of(self._addresses)
        return manager

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made when it is needed: reading the system's authorities takes as long as a whole push of nothing new."""
        context = ssl.create_default_context()
        if self._ca_file:
            try:
                context.load_verify_locations(cafile=self._ca_file)
            except (OSError, ssl.SSLError) as error:
                raise RegistryError(f"{self._ca_file}: no certificates can be read from it: {error}") from None
        return context


class _Timed:
    """Gives sending the time that `IO_SECONDS` says, where urllib3 would go on with the time to connect, and answering
    what the thread's deadline says."""

    sock: socket.socket

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.sock.settimeout(IO_SECONDS)

    def getresponse(self) -> object:
        deadline: Deadline | None = getattr(_current, "deadline", None)
        if deadline is not None:
            deadline.start(self.sock)
        return super().getresponse()  # type: ignore[misc]


class _HttpConnection(_Timed, HTTPConnection):
    def send(self, data: object) -> None:
        """Leaves the bytes of files to the kernel: they need not come into this process."""
        if isinstance(data, FileBlock) and not isinstance(self.sock, ssl.SSLSocket):
            data.send(self.sock)
        else:
            super().send(data)


class _HttpsConnection(_Timed, HTTPSConnection):
    pass


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


def _pools_of(addresses: Addresses) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """Pools whose connections are made to what `addresses` gives, and to nothing that is asked for after it."""

    class _Checked:
        host: str
        port: int
        _dns_host: str

        def _new_conn(self) -> socket.socket:
            named = self._dns_host
            found = addresses(named, self.port)
            try:
                for number, address in enumerate(found, 1):
                    self._dns_host = address
                    try:
                        made: socket.socket = super()._new_conn()  # type: ignore[misc]
                        return made
                    except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError):
                        if number == len(found):
                            raise
            finally:
                self._dns_host = named
            raise AssertionError("no address")

    class _CheckedHttp(_Checked, _HttpConnection):
        pass

    class _CheckedHttps(_Checked, _HttpsConnection):
        pass

    class _CheckedHttpPool(_HttpPool):
        ConnectionCls = _CheckedHttp

    class _CheckedHttpsPool(_HttpsPool):
        ConnectionCls = _CheckedHttps

    return {"http": _CheckedHttpPool, "https": _CheckedHttpsPool}


def _proxy(url: str) -> str:
    """The proxy of the environment (`HTTPS_PROXY`, `NO_PROXY`, …) for a URL; "" for none. Loopback never
    has one."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127.") or urllib.request.proxy_bypass(host):
        return ""
    return urllib.request.getproxies().get(parts.scheme, "")

"""A test's own server on loopback, in a thread."""

from __future__ import annotations

import socketserver
import ssl
import threading
from pathlib import Path
from typing import Self


class LoopbackServer:
    """Serves while it is a context manager. `address` is host and port.

    `tls` is a certificate and its key, as PEM files; without it the server speaks plain HTTP.
    """

    def __init__(self, server: socketserver.TCPServer, tls: tuple[Path, Path] | None = None) -> None:
        """Takes a server that is bound to a port of 127.0.0.1."""
        self._server = server
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        self.port = server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

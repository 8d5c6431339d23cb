"""A proxy that passes on so many bytes of each client and then nothing, as a caller does who stops half-way."""

from __future__ import annotations

import contextlib
import socket
import threading


class Relay:
    """Listens on `port`; a context manager that ends its connections."""

    def __init__(self, target: int, most: int) -> None:
        """Takes the port to pass on to, and how many bytes of each client."""
        self._target = target
        self._most = most
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._over = threading.Event()
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listener.close()
        for found in self._sockets:
            found.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._sockets += [client, server]
            threading.Thread(target=self._pass_on, args=(client, server, self._most), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, client, None), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, most: int | None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                passed += len(data)
                if most is not None and passed > most:
                    self._over.wait()
                    return
                target.sendall(data)
        for found in (source, target):
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)

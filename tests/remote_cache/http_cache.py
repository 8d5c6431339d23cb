"""A cache for Bazel's HTTP protocol that says what it moved: GET and PUT of `/ac/KEY` and `/cas/SHA256`.

    python3 http_cache.py FOLDER [LOG]

Serves FOLDER on a free port of loopback, prints the port, and writes a line for each answer into LOG: method, status,
bytes, path. Ends when its standard input does.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

_KEY = re.compile(r"/(ac|cas)/([0-9a-f]{64})")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: ClassVar[Path]
    log_file: ClassVar[Path]
    lock: ClassVar[threading.Lock] = threading.Lock()

    def do_GET(self) -> None:
        path = self._path()
        if path is None or not path.is_file():
            self._answer(404)
            return
        with path.open("rb") as stream:
            size = path.stat().st_size
            self._answer(200, size, counted=size)
            shutil.copyfileobj(stream, self.wfile, 1 << 20)

    def do_HEAD(self) -> None:
        path = self._path()
        if path is None or not path.is_file():
            self._answer(404)
        else:
            self._answer(200, path.stat().st_size)

    def do_PUT(self) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        if (path := self._path()) is None:
            self.close_connection = True
            self._answer(400)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        state = hashlib.sha256()
        with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as stream:
            left = size
            while left and (piece := self.rfile.read(min(left, 1 << 20))):
                state.update(piece)
                stream.write(piece)
                left -= len(piece)
        if left or (path.parent.name == "cas" and state.hexdigest() != path.name):
            Path(stream.name).unlink()
            self._answer(400)
            return
        Path(stream.name).replace(path)
        self._answer(200, counted=size)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: `_answer` writes its own log."""

    def _path(self) -> Path | None:
        found = _KEY.fullmatch(self.path)
        return self.folder / found[1] / found[2] if found else None

    def _answer(self, status: int, length: int = 0, counted: int = 0) -> None:
        with self.lock, self.log_file.open("a") as log:
            log.write(f"{self.command} {status} {counted} {self.path}\n")
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def main() -> None:
    """Serves until standard input ends."""
    _Handler.folder = Path(sys.argv[1])
    _Handler.log_file = Path(sys.argv[2])
    _Handler.folder.mkdir(parents=True, exist_ok=True)
    _Handler.log_file.touch()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        print(server.server_address[1], flush=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        sys.stdin.read()
        server.shutdown()
        thread.join()


if __name__ == "__main__":
    main()

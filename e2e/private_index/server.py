"""An index on loopback: `/PLACE/simple/NAME/` and `/PLACE/files/WHEEL`; each place but `public` wants a password.

    server.py WORK

Writes the lock of its wheels to WORK/team, who asked for what to WORK/asked, and its port to standard output.
"""

import base64
import hashlib
import http.server
import io
import pathlib
import ssl
import sys
import zipfile

_WORK = pathlib.Path(sys.argv[1])
_PASSWORDS = {
    "private": "netrc:netrc-secret",
    "configured": "configured:configured-secret",
    "helped": "helper:helper-secret",
    "closed": "nobody:knows",
    "public": None,
}
_NAMES = ("by-netrc", "by-configuration", "by-helper", "by-nobody", "of-everybody")


def _wheel(name: str) -> bytes:
    stem = name.replace("-", "_")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{stem}.py"), f"NAME = {name!r}\n")
        archive.writestr(
            zipfile.ZipInfo(f"{stem}-1.0.dist-info/METADATA"), f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        archive.writestr(
            zipfile.ZipInfo(f"{stem}-1.0.dist-info/WHEEL"),
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(zipfile.ZipInfo(f"{stem}-1.0.dist-info/RECORD"), "")
    return content.getvalue()


_WHEELS = {f"{name.replace('-', '_')}-1.0-py3-none-any.whl": _wheel(name) for name in _NAMES}


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        _, place, *rest = self.path.split("/")
        given = self.headers.get("Authorization", "")
        user = base64.b64decode(given.removeprefix("Basic ")).decode() if given.startswith("Basic ") else ""
        with (_WORK / "asked").open("a") as file:
            print(self.path, user or "-", self.headers.get("User-Agent", "").partition("/")[0], file=file)
        if place not in _PASSWORDS:
            self._answer(404)
        elif _PASSWORDS[place] and user != _PASSWORDS[place]:
            self._answer(401)
        elif rest[0] == "files" and rest[1] in _WHEELS:
            self._answer(200, _WHEELS[rest[1]])
        elif rest[0] == "simple" and rest[1] in _NAMES:
            wheel = f"{rest[1].replace('-', '_')}-1.0-py3-none-any.whl"
            digest = hashlib.sha256(_WHEELS[wheel]).hexdigest()
            self._answer(200, f'<a href="../../files/{wheel}#sha256={digest}">{wheel}</a>'.encode())
        else:
            self._answer(404)

    def log_message(self, *arguments: object) -> None:
        """Nothing: `asked` has it."""

    def _answer(self, status: int, content: bytes = b"") -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    """Serves until it is ended."""
    lock = [
        f"{name}==1.0 --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"
        for name, content in zip(_NAMES, _WHEELS.values(), strict=True)
    ]
    (_WORK / "team" / "requirements.txt").write_text("".join(lock))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_WORK / "certificate.pem", _WORK / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

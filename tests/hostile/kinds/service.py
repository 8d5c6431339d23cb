"""The build service under requests and uploads of chance."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import socket
import stat
import time
from pathlib import Path

from chassis.declaration.model import ModelMetadata
from chassis.packed_model.model import PackedModel, write_archive
from tests.hostile.kinds.kind import Finding
from tests.hostile.kinds.mutation import Mutation
from tests.service.service_process import ServiceProcess

TOKEN, OTHER = "ann-has-a-long-token", "bob-has-a-long-token"
_LIMITS = {"head_seconds": 2.0, "stalled_seconds": 3.0, "most": 64}
_QUOTA = {name: 1_000_000 for name in ("uploads", "queued", "minutes")}
_MAX_BYTES = 400 << 20
_SECONDS = 10.0
_QUIET = 0.15
_ALLOWED = (503,)


class _Service:
    """A service, and what must hold of it whatever it is sent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.service = ServiceProcess(
            folder / "state",
            f"ann {TOKEN}\nbob {OTHER}\n",
            connections=_LIMITS,
            quota=_QUOTA,
            retention={"upload_seconds": 5.0},
        )
        self.service.start()
        self._places = {path.name for path in (folder / "state").iterdir()}
        (folder / "canary").write_text("whole")

    def send(self, data: bytes, seconds: float = _QUIET) -> bytes:
        """What is answered to bytes, until it closes or says nothing for a moment."""
        answer = b""
        with (
            socket.create_connection(("127.0.0.1", int(self.service.port)), timeout=_SECONDS) as connection,
            contextlib.suppress(OSError),
        ):
            connection.sendall(data)
            connection.settimeout(seconds)
            while len(answer) < 1 << 20 and (part := connection.recv(1 << 16)):
                answer += part
        return answer

    def check(self, answer: bytes) -> None:
        for status in map(int, re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)):
            if status >= 500 and status not in _ALLOWED:
                raise Finding(f"answered with {status}: {answer[:500]!r}")
        if OTHER.encode() in answer or b"root:x:" in answer:
            raise Finding(f"tells a secret: {answer[:500]!r}")

    def look(self) -> None:
        begin = time.monotonic()
        answer = self.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", _SECONDS)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise Finding(f"is not well: {answer[:200]!r}, after {time.monotonic() - begin:.1f} s")
        errors = (self._folder / "stderr").read_text(errors="replace")
        if "Traceback" in errors:
            raise Finding(f"a defect of the service: {errors[-3000:]}")
        if self.service.resident_bytes() > _MAX_BYTES:
            raise Finding(f"took {self.service.resident_bytes() >> 20} MiB")
        if self.service.open_files() > 400:
            raise Finding(f"has {self.service.open_files()} files open")
        found = {path.name for path in (self._folder / "state").iterdir()}
        if found - self._places - {"jobs.sqlite-wal", "jobs.sqlite-shm", "runs", "pythons", "layouts", "webhook_key"}:
            raise Finding(f"wrote {sorted(found - self._places)}")
        if {path.name for path in self._folder.iterdir()} != {"state", "canary", "stderr"}:
            raise Finding("wrote beside its directory")

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.service.open_gate()
        self.service.stop(9)


class Requests:
    """Bytes of HTTP to the service's port."""

    def __init__(self, folder: Path) -> None:
        self._service = _Service(folder)
        archive = _archive("cats")
        upload = self._service.send(
            _request("POST", "/api/uploads", archive, "application/x-tar", close=True), _SECONDS
        )
        upload_id = json.loads(upload.rpartition(b"\r\n\r\n")[2])["upload_id"]
        made = self._service.send(
            _request("POST", "/api/jobs", json.dumps({"upload_id": upload_id}).encode(), close=True), _SECONDS
        )
        job = json.loads(made.rpartition(b"\r\n\r\n")[2])["job_id"]
        bodies = [
            json.dumps({"upload_id": "0" * 32, "platforms": ["amd64"], "tags": ["a"], "cross_build": ["a"]}).encode(),
            json.dumps({"upload_id": upload_id, "registry": "r.example", "repository": "a/b"}).encode(),
            json.dumps({"upload_id": "0" * 32, "webhook": "https://hook.example/a", "registry": ""}).encode(),
        ]
        credentials = json.dumps({"username": "a", "password": "b"}).encode()
        samples = [_request("POST", "/api/jobs", body) for body in bodies]
        samples += [
            _request("GET", path) for path in ("/", "/openapi.json", "/api/usage", "/api/jobs", "/api/webhook_secret")
        ]
        samples += [
            _request("GET", f"/api/jobs/{job}{end}") for end in ("", "/logs?offset=1", "/logs?follow=1", "/image")
        ]
        samples += [
            _request("POST", f"/api/jobs/{job}/cancel", b"{}"),
            _request("PUT", f"/api/jobs/{job}/credentials", credentials),
            _request("POST", "/api/uploads", archive[:3000], "application/x-tar"),
        ]
        samples += [sample.replace(b"Bearer ", b"Basic ") for sample in samples[:3]]
        words = [
            TOKEN,
            "Bearer",
            "localhost",
            "Host: ",
            "Content-Length: ",
            "Transfer-Encoding: chunked\r\n",
            "../",
            "//",
        ]
        words += [job, upload_id, "0" * 32, "null", "\\ud800", "[" * 2000, '"' * 9, "true", "Expect: 100-continue\r\n"]
        words += [
            "HTTP/1.0",
            "HTTP/1.1",
            "Connection: close\r\n",
            "Upgrade: h2c\r\nConnection: upgrade\r\n",
            "0\r\n\r\n",
        ]
        words += [
            "Authorization: ",
            "application/json",
            "application/x-tar",
            "/healthz?",
            "GET ",
            "HEAD ",
            "?offset=",
            "#",
        ]
        self._mutation = Mutation(samples, [word.encode() for word in words])

    def make(self, chance: random.Random) -> bytes:
        return b"".join(self._mutation.make(chance) for _ in range(chance.choice((1, 1, 1, 2, 3))))

    def attack(self, data: bytes) -> None:
        self._service.check(self._service.send(data))

    def look(self) -> None:
        self._service.look()

    def close(self) -> None:
        self._service.close()


class Uploads:
    """Archives to the service, each in a request that is right."""

    def __init__(self, folder: Path) -> None:
        self._service = _Service(folder)
        small = folder.parent / f"{folder.name}-file"
        small.write_text("a\n")
        samples = [
            _archive("cats"),
            _archive("dogs", {"a/b.txt": small, "c": small}),
            _archive("cats", {"a/a/a": small}),
        ]
        small.unlink()
        words = [
            "files/",
            "../",
            "/etc/passwd",
            "model.json",
            "model.pkl",
            "ustar\0" + "00",
            "\0" * 512,
            "0000644",
            "files/a/",
        ]
        words += [str(kind) for kind in range(8)] + [
            "L",
            "K",
            "x",
            "g",
            "S",
            "\x80" + "\xff" * 7,
            "\\ud800",
            "NaN",
            "[" * 900,
        ]
        words += ['"format": 1', '"python"', '"files": {', '"name": "', "BUILD", "MODULE.bazel", ".bazelrc", "a/" * 90]
        self._mutation = Mutation(samples, [word.encode("latin-1") for word in words])

    def make(self, chance: random.Random) -> bytes:
        return _with_checksums(self._mutation.make(chance), chance)

    def attack(self, data: bytes) -> None:
        answer = self._service.send(_request("POST", "/api/uploads", data, "application/x-tar", close=True), _SECONDS)
        self._service.check(answer)
        if not answer:
            raise Finding("no answer to an upload")

    def look(self) -> None:
        self._service.look()
        for folder, folders, files in os.walk(self._service.service.state / "uploads"):  # which may go meanwhile
            for path in (Path(folder, name) for name in (*folders, *files)):
                with contextlib.suppress(FileNotFoundError):
                    mode = path.lstat().st_mode
                    if mode & 0o077 or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                        raise Finding(f"unpacked {path} with mode {mode:o}")

    def close(self) -> None:
        self._service.close()


def _request(
    method: str, path: str, body: bytes = b"", kind: str = "application/json", *, close: bool = False
) -> bytes:
    """A request that is right."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {TOKEN}"]
    if body or method != "GET":
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += ["Connection: close"] if close else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def _archive(name: str, files: dict[str, Path] | None = None) -> bytes:
    content = io.BytesIO()
    write_archive(PackedModel(ModelMetadata(name, model_version="1"), b"pickle", (), files=files or {}), content)
    return content.getvalue()


def _with_checksums(data: bytes, chance: random.Random) -> bytes:
    """Mostly with the checksum of each header made right again, so that what lies behind is reached."""
    if chance.random() < 0.2:
        return data
    made = bytearray(data)
    for begin in range(0, len(made) - 511, 512):
        if made[begin + 257 : begin + 262] == b"ustar":
            made[begin + 148 : begin + 156] = b" " * 8
            made[begin + 148 : begin + 156] = b"%06o\0 " % sum(made[begin : begin + 512])
    return bytes(made)

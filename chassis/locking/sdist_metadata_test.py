"""Tests of sdist_metadata.py: what sdists of every age require, and what is refused."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import io
import lzma
import re
import struct
import tarfile
import threading
import time
import tomllib
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from chassis.errors import ChassisError
from chassis.locking.sdist_metadata import Sdist, fetch_metadata, metadata_settings, read_metadata

_INFO = "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n"


def _tar(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for path, text in files.items():
            info = tarfile.TarInfo(f"small-1.0/{path}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return content.getvalue()


def _zip(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in files.items():
            archive.writestr(f"small-1.0/{path}", text)
    return content.getvalue()


REQUIRES = {
    "nothing": ({"PKG-INFO": _INFO}, ()),
    "metadata": (
        {"PKG-INFO": _INFO + "Requires-Dist: six>=1\nRequires-Dist: numpy; python_version > '3'\n"},
        ("six>=1", "numpy; python_version > '3'"),
    ),
    "older setuptools": (
        {"PKG-INFO": _INFO, "small.egg-info/requires.txt": "six\n\n[fast]\ncython\n\n[:os_name=='posix']\nposix\n"},
        ("six", "cython ; extra == 'fast'", "posix ; (os_name=='posix')"),
    ),
    "metadata before requires.txt": (
        {"PKG-INFO": _INFO + "Requires-Dist: six\n", "src/small.egg-info/requires.txt": "other\n"},
        ("six",),
    ),
}


@pytest.mark.parametrize("name", REQUIRES)
def test_requirements_are_read_from_the_files(name: str) -> None:
    files, requires = REQUIRES[name]
    for content, file in ((_tar(files), "small-1.0.tar.gz"), (_zip(files), "small-1.0.zip")):
        assert read_metadata(io.BytesIO(content), file, "small", "1.0").requires == requires


REFUSED = {
    "not an archive": (b"x" * 2000, "not an archive"),
    "cut off": (_tar({"PKG-INFO": _INFO})[:60], "not an archive|no PKG-INFO"),
    "no metadata": (_tar({"setup.py": ""}), "no PKG-INFO"),
    "URL": (_tar({"PKG-INFO": _INFO + "Requires-Dist: evil @ http://127.0.0.1/evil.tar.gz\n"}), "the index alone"),
    "malformed": (
        _tar({"PKG-INFO": _INFO + "Requires-Dist: --index-url http://127.0.0.1/\n"}),
        "requires '--index-url",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_sdist_is_refused(name: str) -> None:
    content, message = REFUSED[name]
    with pytest.raises(ChassisError, match=message):
        read_metadata(io.BytesIO(content), "small-1.0.tar.gz", "small", "1.0")


def test_another_file_than_the_index_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "small-1.0.tar.gz"
    path.write_bytes(_tar({"PKG-INFO": _INFO}))
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    assert fetch_metadata(Sdist("small", "1.0", path, right), {}).requires == ()
    with pytest.raises(ChassisError, match=f"has sha256 {right}, and the index says 0000"):
        fetch_metadata(Sdist("small", "1.0", path, "0" * 64), {})
    with pytest.raises(ChassisError, match="not a URL of http"):
        fetch_metadata(Sdist("small", "1.0", f"file://{path}", right), {})


class _Asked(BaseHTTPRequestHandler):
    """Answers every request with the file, and notes its target and credentials."""

    content = _tar({"PKG-INFO": _INFO + "Requires-Dist: six\n"})
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"]))
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_address[1]}/other.tar.gz")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    _Asked.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Asked) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_credentials_of_an_index_go_to_that_index_alone(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    digest = hashlib.sha256(_Asked.content).hexdigest()
    index = {"UV_INDEX": f"own=http://ann:wo%3Ard@{server}/simple", "NETRC": "/dev/null"}
    for path in ("/small-1.0.tar.gz", "/moved/small-1.0.tar.gz"):
        assert fetch_metadata(Sdist("small", "1.0", f"http://{server}{path}", digest), index).requires == ("six",)
    other = {"UV_INDEX": "http://ann:word@127.0.0.1:1/simple", "NETRC": "/dev/null"}
    fetch_metadata(Sdist("small", "1.0", f"http://{server}/other.tar.gz", digest), other)
    own = "Basic " + base64.b64encode(b"ann:wo:rd").decode()
    assert _Asked.asked == [
        ("/small-1.0.tar.gz", own),
        ("/moved/small-1.0.tar.gz", own),
        ("/other.tar.gz", None),
        ("/other.tar.gz", None),
    ]


def test_a_proxy_that_uv_is_told_of_is_used(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    digest = hashlib.sha256(_Asked.content).hexdigest()
    sdist = Sdist("small", "1.0", "http://index.test/small-1.0.tar.gz", digest)
    fetch_metadata(sdist, {"ALL_PROXY": f"http://{server}", "NETRC": "/dev/null"})
    assert _Asked.asked == [("http://index.test/small-1.0.tar.gz", None)]


def test_settings_quote_what_an_sdist_says() -> None:
    text = 'six; extra == "\\"]\n[pip]\nno-build = false"'
    found = read_metadata(io.BytesIO(_tar({"PKG-INFO": _INFO})), "small-1.0.tar.gz", "small", "1.0")
    hostile = dataclasses.replace(found, requires=(text,), extras=('a"]\nx = 1',), python='>=3"\ny = 2')
    document = tomllib.loads(metadata_settings({"small==1.0": hostile}, ["small"]))
    assert list(document) == ["dependency-metadata"]
    assert document["dependency-metadata"][1]["requires-dist"] == [text]


def _bomb(kind: str) -> tuple[str, bytes]:
    """A small archive that grows to gigabytes in whoever reads it without counting, and its name."""
    lines = "six\n" * (1 << 18)
    content = io.BytesIO()
    if kind == "many texts":
        return "small-1.0.tar.gz", _tar(
            {"PKG-INFO": _INFO} | {f"{n}/x.egg-info/requires.txt": lines for n in range(20)}
        )
    if kind == "many small texts":
        return "small-1.0.tar.gz", _tar({"PKG-INFO": _INFO} | {f"{n}/x.egg-info/requires.txt": "" for n in range(100)})
    if kind == "many texts of a zip":
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("small-1.0/PKG-INFO", _INFO)
            for number in range(20):
                archive.writestr(f"small-1.0/{number}/x.egg-info/requires.txt", lines)
        return "small-1.0.zip", content.getvalue()
    if kind == "many requirements":
        return "small-1.0.tar.gz", _tar({"PKG-INFO": _INFO + "Requires-Dist: six\n" * 6000})
    if kind == "a large directory of a zip":
        with zipfile.ZipFile(content, "w") as archive:
            for number in range(60):
                archive.writestr(f"small-1.0/{number}", "", zipfile.ZIP_STORED)
        whole = content.getvalue()
        begin = whole.index(b"PK\1\2")
        end = whole.index(b"PK\5\6")
        directory = whole[begin:end] * 4000
        tail = b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, 0xFFFF, 0xFFFF, len(directory), begin, 0)
        return "small-1.0.zip", whole[:begin] + directory + tail
    if kind == "millions of empty files":
        entry = tarfile.TarInfo("small-1.0/x").tobuf()
        return "small-1.0.tar.gz", gzip.compress(entry * 60_000, 1)
    assert kind == "a dictionary of gigabytes"
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    packed = bytearray(lzma.compress(b"x" * 4096, lzma.FORMAT_XZ, filters=filters))
    packed[15 + packed[14:20].index(1)] = 39  # dict_size of the block's header: 3 GiB
    header = bytes(packed[12 : 12 + (packed[12] + 1) * 4 - 4])
    packed[12 + len(header) : 12 + len(header) + 4] = struct.pack("<L", zlib.crc32(header))
    return "small-1.0.tar.xz", bytes(packed)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("many texts", "larger than 2 MiB each and 16 MiB together"),
        ("many small texts", "its metadata is more than 64 files"),
        ("many texts of a zip", "larger than 2 MiB each and 16 MiB together"),
        ("many requirements", "has 6000 requirements, at most 5000"),
        ("a large directory of a zip", "its directory has"),
        ("millions of empty files", "has no PKG-INFO at its top"),
        ("a dictionary of gigabytes", "Memory usage limit exceeded"),
    ],
)
def test_bombs_are_refused_without_the_memory(kind: str, message: str) -> None:
    file, content = _bomb(kind)
    assert len(content) < 16 << 20
    tracemalloc.start()
    try:
        with pytest.raises(ChassisError, match=re.escape(message)):
            read_metadata(io.BytesIO(content), file, "small", "1.0")
        assert tracemalloc.get_traced_memory()[1] < 60 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_an_sdist_of_any_compression_is_read(compression: str) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=f"w:{compression}") as archive:
        for path, text in (("small-1.0/data", "x" * 3_000_000), ("small-1.0/PKG-INFO", _INFO + "Requires-Dist: six\n")):
            info = tarfile.TarInfo(path)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    whole = content.getvalue()
    file = "small-1.0.tar" + (f".{compression}" if compression else "")
    assert read_metadata(io.BytesIO(whole), file, "small", "1.0").requires == ("six",)
    for cut in (len(whole) // 2, 5):
        with pytest.raises(ChassisError):
            read_metadata(io.BytesIO(whole[:cut]), file, "small", "1.0")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("six ; " + "(" * 900 + "os_name=='a'" + ")" * 900, "recursion"),
        ("six[" + "a," * 1_000_000 + "a]", "characters, at most 2000 are read"),
        ("six >=1" + ",>=1" * 300_000, "characters, at most 2000 are read"),
    ],
)
def test_requirements_that_take_for_ever_to_read_are_refused(line: str, message: str) -> None:
    begin = time.monotonic()
    with pytest.raises(ChassisError, match=message) as error:
        read_metadata(
            io.BytesIO(_tar({"PKG-INFO": f"{_INFO}Requires-Dist: {line}\n"})), "small-1.0.tar.gz", "small", "1.0"
        )
    assert time.monotonic() - begin < 10
    assert len(str(error.value)) < 1000


def test_reading_ends_when_it_is_told_to() -> None:
    def check() -> None:
        raise ChassisError("given up")

    with pytest.raises(ChassisError, match="given up"):
        read_metadata(io.BytesIO(_tar({"PKG-INFO": _INFO})), "small-1.0.tar.gz", "small", "1.0", check)

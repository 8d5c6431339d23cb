"""Dependency confusion: a public index with a higher version of what a private one has under the same name."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from chassis.errors import ChassisError
from chassis.locking import uv as uv_module
from chassis.locking.sdist_metadata import Sdist, fetch_metadata
from chassis.locking.target import LockTarget
from chassis.locking.uv import Uv, find_uv
from tests.hostile.service.callers import receiver

AMD64 = LockTarget("x86_64", (3, 11), 36)

_WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def _wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel of nothing."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(path, "w") as archive:
        record = ""
        for member, text in ((f"{info}/METADATA", metadata), (f"{info}/WHEEL", _WHEEL)):
            archive.writestr(member, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{member},sha256={digest},{len(text)}\n"
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return path


@contextlib.contextmanager
def _index(folder: Path, *wheels: tuple[str, str], make: Callable[[Path, str, str], Path] = _wheel) -> Iterator[str]:
    """The URL of an index on loopback with these distributions."""
    folder.mkdir()
    files = {path.name: path.read_bytes() for path in (make(folder, *wheel) for wheel in wheels)}

    def answer(handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.rstrip("/").rpartition("/")[2].partition("#")[0]
        links = [file for file in files if file.startswith(f"{name.replace('-', '_')}-")]
        content, kind = files.get(name), "application/zip"
        if content is None and links:
            lines = [
                f'<a href="/files/{file}#sha256={hashlib.sha256(files[file]).hexdigest()}">{file}</a>' for file in links
            ]
            content, kind = f"<!DOCTYPE html><html><body>{''.join(lines)}</body></html>".encode(), "text/html"
        handler.send_response(200 if content is not None else 404)
        handler.send_header("content-type", kind)
        handler.send_header("content-length", str(len(content or b"")))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content or b"")

    with receiver(answer) as server:
        yield f"http://{server.address}/simple"


def _environment(folder: Path, public: str, private: str, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "TMPDIR", "LD_LIBRARY_PATH")}
    return {
        **kept,
        "HOME": str(folder),
        "XDG_CONFIG_DIRS": "",
        "PIP_CONFIG_FILE": "/dev/null",
        "UV_CACHE_DIR": str(folder / "uv"),
        "PIP_INDEX_URL": public,
        "PIP_EXTRA_INDEX_URL": private,
        **more,
    }


class _GaveUp(Exception):
    """Locking was told to end."""


def test_locking_ends_when_its_time_is_over_and_leaves_no_process(tmp_path: Path) -> None:
    """An index that never answers would have it wait for a quarter of an hour."""
    silent, asked = threading.Event(), threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.set()
        silent.wait(60)

    def check() -> None:
        if asked.is_set():
            raise _GaveUp

    with receiver(answer) as server:
        url = f"http://{server.address}/simple"
        environment = _environment(tmp_path, url, url) | {"CHASSIS_TEST_MARK": str(tmp_path)}
        (tmp_path / "requirements.in").write_text("numbers\n")
        begin = time.monotonic()
        with pytest.raises(_GaveUp):
            Uv(find_uv(), environment, check).compile(["requirements.in"], AMD64, tmp_path, tmp_path / "lock.txt")
        assert time.monotonic() - begin < 20
        assert not _marked(f"CHASSIS_TEST_MARK={tmp_path}")
        silent.set()


def test_a_download_that_drips_ends_when_its_time_is_over(tmp_path: Path) -> None:
    begun = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "1000000")
        handler.end_headers()
        for _ in range(600):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            begun.set()
            silent.wait(0.1)

    def check() -> None:
        if begun.is_set():
            raise _GaveUp

    silent = threading.Event()
    with receiver(answer) as server:
        begin = time.monotonic()
        with pytest.raises(_GaveUp):
            fetch_metadata(Sdist("small", "1.0", f"http://{server.address}/small-1.0.tar.gz", "0" * 64), {}, check)
        assert time.monotonic() - begin < 20
        silent.set()


def _bomb(folder: Path, name: str, version: str) -> Path:
    """A wheel of a few megabytes, whose metadata has 700 MiB."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open(f"{info}/METADATA", "w", force_zip64=True) as metadata:
            metadata.write(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n".encode())
            for _ in range(700):
                metadata.write(b"a" * (1 << 20))
        archive.writestr(f"{info}/WHEEL", _WHEEL)
        archive.writestr(f"{info}/RECORD", "")
    assert path.stat().st_size < 8 << 20
    return path


def test_metadata_that_inflates_to_gigabytes_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel of anybody's on a public index: uv reads its METADATA into memory whole."""
    monkeypatch.setattr(uv_module, "_MAX_MEMORY", 512 << 20)
    with (
        _index(tmp_path / "public", ("numbers", "1.0"), make=_bomb) as public,
        pytest.raises(ChassisError, match="it may take 512 MiB: a distribution has metadata of unusual size"),
    ):
        _lock(tmp_path, _environment(tmp_path, public, public), "numbers\n")


def _marked(mark: str) -> list[str]:
    """The processes with a variable in their environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark.encode() in place.read_bytes().split(b"\0"):
                found.append(place.parent.name)
    return found


def _lock(folder: Path, environment: dict[str, str], requirement: str) -> str:
    (folder / "requirements.in").write_text(requirement)
    Uv(find_uv(), environment).compile(["requirements.in"], AMD64, folder, folder / "lock.txt")
    return (folder / "lock.txt").read_text()


def test_a_private_name_is_the_private_indexs(tmp_path: Path) -> None:
    with (
        _index(tmp_path / "public", ("corp_tool", "99.0"), ("numbers", "1.0")) as public,
        _index(tmp_path / "private", ("corp_tool", "1.0")) as private,
    ):
        lock = _lock(tmp_path, _environment(tmp_path, public, private), "corp-tool\nnumbers\n")
        assert "corp-tool==1.0 " in lock
        assert "numbers==1.0 " in lock


def test_who_trusts_all_indexes_alike_says_so_and_is_told_how(tmp_path: Path) -> None:
    with (
        _index(tmp_path / "public", ("corp_tool", "99.0")) as public,
        _index(tmp_path / "private", ("corp_tool", "1.0")) as private,
    ):
        environment = _environment(tmp_path, public, private)
        with pytest.raises(ChassisError, match="set the variable UV_INDEX_STRATEGY=unsafe-best-match"):
            _lock(tmp_path, environment, "corp-tool>=2\n")
        lock = _lock(tmp_path, environment | {"UV_INDEX_STRATEGY": "unsafe-best-match"}, "corp-tool>=2\n")
        assert "corp-tool==99.0 " in lock

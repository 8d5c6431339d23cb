"""Blobs from Bazel's caches: each kind, over a real server if there is one."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from chassis.oci.caches.bazel_settings import BazelSettings, BazelSettingsError, credentials, read_settings
from chassis.oci.caches.cas_server import CasServer
from chassis.oci.caches.stores import stores_of
from chassis.oci.descriptor import Descriptor
from chassis.oci.digest import hex_of, of_bytes
from chassis.oci.registry.blob_source import BlobSource, SourceError
from chassis.oci.registry.errors import RegistryError

_DATA = os.urandom(300_000)
_BLOB = Descriptor("application/x", of_bytes(_DATA), len(_DATA))
_OTHER = Descriptor("application/x", of_bytes(b"other"), 5)


def read(source: BlobSource, start: int = 0, end: int = len(_DATA)) -> bytes:
    moved: list[int] = []
    body = source.body(start, end, moved.append, lambda: None)
    try:
        data = b"".join(bytes(block) for block in body.blocks())  # type: ignore[arg-type]
    finally:
        body.close()
    assert sum(moved) == len(data)
    return data


def settings(**single: str) -> BazelSettings:
    return BazelSettings(single)


class _Cache(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[tuple[str, str, str]]] = []
    wanted: ClassVar[str] = ""
    ranges: ClassVar[bool] = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if self.ranges else 0
        self.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
        known = self.path == f"/some/path/cas/{hex_of(_BLOB.digest)}"
        status = 401 if self.wanted and self.headers.get("Authorization") != self.wanted else 200 if known else 404
        data = _DATA[start:] if status == 200 else b""
        self.send_response(206 if start and status == 200 else status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    do_HEAD = do_GET


@pytest.fixture
def http_cache() -> Iterator[str]:
    _Cache.asked, _Cache.wanted, _Cache.ranges = [], "", True
    with ThreadingHTTPServer(("127.0.0.1", 0), _Cache) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}/some/path"
        server.shutdown()
        thread.join()


def test_the_disk_cache_has_files_by_digest(tmp_path: Path) -> None:
    name = hex_of(_BLOB.digest)
    (tmp_path / "cas" / name[:2]).mkdir(parents=True)
    (tmp_path / "cas" / name[:2] / name).write_bytes(_DATA)
    [store] = stores_of(settings(disk_cache=str(tmp_path)), tmp_path, {})
    found = store.find([_BLOB, _OTHER])
    assert list(found) == [_BLOB.digest]
    assert found[_BLOB.digest].where.endswith(name)
    assert store.find([Descriptor("x", _BLOB.digest, 7)]) == {}


@pytest.mark.parametrize("ranges", [True, False])
def test_an_http_cache_is_asked_and_read_from_any_offset(http_cache: str, tmp_path: Path, ranges: bool) -> None:
    _Cache.ranges = ranges
    [store] = stores_of(settings(remote_cache=f"http://{http_cache}"), tmp_path, {})
    found = store.find([_BLOB, _OTHER])
    assert list(found) == [_BLOB.digest]
    assert [method for method, _, _ in _Cache.asked] == ["HEAD", "HEAD"]
    assert read(found[_BLOB.digest]) == _DATA
    assert read(found[_BLOB.digest], 100_000, 250_000) == _DATA[100_000:250_000]


def test_an_http_cache_gets_the_credentials_of_its_url(http_cache: str, tmp_path: Path) -> None:
    _Cache.wanted = "Basic YW5uOnB3"
    [store] = stores_of(settings(remote_cache=f"http://ann:pw@{http_cache}"), tmp_path, {})
    found = store.find([_BLOB])
    assert read(found[_BLOB.digest]) == _DATA
    assert "pw" not in found[_BLOB.digest].where


def test_a_cache_that_refuses_is_named(http_cache: str, tmp_path: Path) -> None:
    _Cache.wanted = "Basic other"
    [store] = stores_of(settings(remote_cache=f"http://{http_cache}"), tmp_path, {})
    with pytest.raises(RegistryError, match=r"remote cache http://127.0.0.1:\d+: answers 401"):
        store.find([_BLOB])


@pytest.mark.parametrize("instance", ["", "main/x"])
def test_a_grpc_cache_is_asked_once_and_read_from_any_offset(tmp_path: Path, instance: str) -> None:
    with CasServer(instance) as server:
        server.add(_DATA)
        flags = settings(remote_cache=f"grpc://127.0.0.1:{server.port}", remote_instance_name=instance)
        [store] = stores_of(flags, tmp_path, {})
        found = store.find([_BLOB, _OTHER])
        assert list(found) == [_BLOB.digest]
        assert len(server.asked) == 1
        assert server.reads == []
        assert read(found[_BLOB.digest]) == _DATA
        assert read(found[_BLOB.digest], 100_000, 250_000) == _DATA[100_000:250_000]


def test_a_grpc_cache_gets_remote_headers(tmp_path: Path) -> None:
    with CasServer(headers={"X-Api-Key": "k"}) as server:
        server.add(_DATA)
        flags = settings(remote_executor=f"grpc://127.0.0.1:{server.port}")
        with pytest.raises(RegistryError, match="UNAUTHENTICATED: who is asking"):
            stores_of(flags, tmp_path, {})[0].find([_BLOB])
        flags.many["remote_header"] = ["X-Api-Key=k"]
        assert read(stores_of(flags, tmp_path, {})[0].find([_BLOB])[_BLOB.digest]) == _DATA


def test_a_stream_that_breaks_off_is_opened_again_where_it_was(tmp_path: Path) -> None:
    with CasServer() as server:
        server.add(_DATA)
        server.breaks, server.break_after = 3, 100_000
        [store] = stores_of(settings(remote_cache=f"grpc://127.0.0.1:{server.port}"), tmp_path, {})
        source = store.find([_BLOB])[_BLOB.digest]
        assert read(source) == _DATA
        assert [offset for _, offset in server.reads] == sorted({offset for _, offset in server.reads})
        assert server.sent == len(_DATA), "no byte went twice"


def test_a_stream_that_always_breaks_off_is_an_error(tmp_path: Path) -> None:
    with CasServer() as server:
        server.add(_DATA)
        server.breaks = 1000
        [store] = stores_of(settings(remote_cache=f"grpc://127.0.0.1:{server.port}"), tmp_path, {})
        with pytest.raises(SourceError, match="UNAVAILABLE: breaks off"):
            read(store.find([_BLOB])[_BLOB.digest])
        assert len(server.reads) == 4


@pytest.mark.parametrize("address", ["ftp://x", "http://", "grpc://", "grpcs:///x"])
def test_an_address_that_is_none_is_named(tmp_path: Path, address: str) -> None:
    with pytest.raises(BazelSettingsError, match="remote cache"):
        stores_of(settings(remote_cache=address), tmp_path, {})


def _workspace(folder: Path, **files: str) -> tuple[Path, dict[str, str]]:
    home, workspace = folder / "home", folder / "workspace"
    for place, name, text in [
        (home, ".bazelrc", files.get("home", "")),
        (workspace, ".bazelrc", files.get("workspace", "")),
        (workspace, "more.bazelrc", files.get("more", "")),
    ]:
        place.mkdir(exist_ok=True)
        (place / name).write_text(text)
    return workspace, {"HOME": str(home)}


def test_rc_files_are_read_in_bazels_order_with_their_imports(tmp_path: Path) -> None:
    workspace, environment = _workspace(
        tmp_path,
        workspace="""
# build --disk_cache=/comment
build --disk_cache=/workspace --jobs=3   # a comment
common --remote_header=A=1
try-import %workspace%/more.bazelrc
try-import %workspace%/nowhere.bazelrc
query --disk_cache=/query
build:ci --remote_cache=grpcs://ci.example
""",
        more='run --remote_header="B=x y" \\\n  --remote_instance_name main\nbuild --config=fast\n'
        "build:fast --tls_certificate=ca.pem\n",
        home="build --disk_cache=~/cache\n",
    )
    found = read_settings(workspace, environment)
    assert found.single == {"disk_cache": "~/cache", "remote_instance_name": "main", "tls_certificate": "ca.pem"}
    assert found.headers() == {"A": "1", "B": "x y"}
    assert read_settings(workspace, environment, ["ci"]).single["remote_cache"] == "grpcs://ci.example"


def test_an_import_that_is_missing_is_named(tmp_path: Path) -> None:
    workspace, environment = _workspace(tmp_path, workspace="import %workspace%/nowhere.bazelrc\n")
    with pytest.raises(BazelSettingsError, match=r"nowhere\.bazelrc, which does not exist"):
        read_settings(workspace, environment)


def test_files_that_import_each_other_end(tmp_path: Path) -> None:
    workspace, environment = _workspace(
        tmp_path,
        workspace="import %workspace%/more.bazelrc\n",
        more="import %workspace%/.bazelrc\nbuild --disk_cache=x\n",
    )
    assert read_settings(workspace, environment).single == {"disk_cache": "x"}


def _helper(folder: Path, script: str) -> str:
    path = folder / "helper"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_credential_helper_gives_headers_to_the_hosts_that_it_is_for(tmp_path: Path) -> None:
    answer = """echo '{"headers": {"Authorization": ["Bearer t"]}}'"""
    helper = _helper(tmp_path, f"""grep -q '"uri": "https://cache.example"' && {answer}""")
    flags = BazelSettings(many={"credential_helper": [f"*.example={helper}", "cache.other=/nonexistent"]})
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    asked = credentials(flags, "https://cache.example", tmp_path, environment)
    assert asked == {"Authorization": "Bearer t"}
    assert credentials(flags, "https://cache.elsewhere", tmp_path, environment) == {}


@pytest.mark.parametrize("script", ["echo SECRET; exit 3", "echo SECRET", "echo '[\"SECRET\"]'"])
def test_what_a_failing_helper_prints_is_not_shown(tmp_path: Path, script: str) -> None:
    flags = BazelSettings(many={"credential_helper": [_helper(tmp_path, script)]})
    with pytest.raises(BazelSettingsError, match="credential helper") as caught:
        credentials(flags, "https://cache.example", tmp_path, {"PATH": os.environ["PATH"]})
    assert "SECRET" not in str(caught.value)


def test_netrc_counts_for_the_host_alone_and_never_by_default(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine cache.example login ann password pw\ndefault login ann password all\n")
    environment = {"HOME": str(tmp_path)}
    assert credentials(BazelSettings(), "https://cache.example", tmp_path, environment) == {
        "Authorization": "Basic YW5uOnB3"
    }
    assert credentials(BazelSettings(), "https://evil.example", tmp_path, environment) == {}
    assert hashlib.sha256(_DATA).hexdigest() == hex_of(_BLOB.digest)

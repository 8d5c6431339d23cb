"""Tests of wheel_lock.py and uv.py: the real uv against wheels on disk, without a network."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import socket
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chassis.errors import ChassisError
from chassis.locking.target import LockTarget
from chassis.locking.uv import Uv, WheelFile, find_uv, read_pylock
from chassis.locking.wheel_lock import LockPlan, format_lock, narrow, renew

AMD64 = LockTarget("x86_64", (3, 11), 36)
ARM64 = LockTarget("aarch64", (3, 11), 36)


def _wheel(directory: Path, name: str, version: str, tag: str = "py3-none-any", requires: str = "") -> str:
    directory.mkdir(exist_ok=True, parents=True)
    path = directory / f"{name}-{version}-{tag}.whl"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Dist: {requires}\n" if requires else ""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    index = tmp_path / "index"
    for version in ("1.0", "1.1"):
        for machine in ("x86_64", "aarch64"):
            _wheel(index, "native", version, f"cp311-cp311-manylinux_2_28_{machine}", "pure")
            _wheel(index, "native", version, f"cp312-cp312-manylinux_2_28_{machine}", "pure")
        _wheel(index, "pure", version)
    _wheel(index, "native", "2.0", "cp311-cp311-manylinux_2_28_x86_64", "pure")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/model.in").write_text("native<2\n")
    return tmp_path


@pytest.fixture
def uv(workspace: Path) -> Uv:
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(workspace),
        "UV_CACHE_DIR": str(workspace / "cache"),
        "UV_OFFLINE": "1",
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(workspace / "index"),
        "UV_INDEX_URL": "",
    }
    return Uv(find_uv(), environment)


class _Proxy:
    """What programs are told to reach every host by; `asked` has the first bytes of each connection."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> _Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    self.asked.append(connection.recv(1 << 10))


_ARM64 = LockPlan("requirements/arm64.txt", ("requirements/model.in",), ARM64)


def test_each_requirement_has_one_wheel_and_its_hash(workspace: Path, uv: Uv) -> None:
    renew(_ARM64, workspace, uv, "renew it")
    native = workspace / "index/native-1.1-cp311-cp311-manylinux_2_28_aarch64.whl"
    pure = workspace / "index/pure-1.1-py3-none-any.whl"
    assert (workspace / _ARM64.output).read_text() == (
        "# Wheels for CPython 3.11, Linux, aarch64, glibc 2.36.\n"
        "# Renew with: renew it\n"
        "\n"
        f"# {native.name}\n"
        f"native==1.1 --hash=sha256:{hashlib.sha256(native.read_bytes()).hexdigest()}\n"
        "    # via -r requirements/model.in\n"
        "\n"
        f"# {pure.name}\n"
        f"pure==1.1 --hash=sha256:{hashlib.sha256(pure.read_bytes()).hexdigest()}\n"
        "    # via native\n"
    )


def test_no_python_is_fetched_for_a_version_that_this_machine_lacks(workspace: Path) -> None:
    _wheel(workspace / "simple/pure", "pure", "1.1")
    (workspace / "requirements/model.in").write_text("pure\n")
    programs = workspace / "programs"
    programs.mkdir()
    (programs / "python3").symlink_to("/usr/bin/python3")  # the one Python that is found
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(workspace))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as index, _Proxy() as proxy:
        thread = threading.Thread(target=index.serve_forever)
        thread.start()
        environment = {
            "PATH": str(programs),
            "HOME": str(workspace),
            "UV_CACHE_DIR": str(workspace / "cache"),
            "UV_DEFAULT_INDEX": f"http://127.0.0.1:{index.server_port}/simple",
            "no_proxy": "127.0.0.1",
            **{name: proxy.url for name in ("http_proxy", "https_proxy", "all_proxy")},
        }
        plan = LockPlan("requirements/py39.txt", _ARM64.inputs, LockTarget("aarch64", (3, 9), 36))
        locked = renew(plan, workspace, Uv(find_uv(), environment), "x")
        index.shutdown()
        thread.join()
    assert [item.version for item in locked] == ["1.1"]
    assert proxy.asked == []


def test_pins_are_kept_until_an_upgrade_is_asked_for(workspace: Path, uv: Uv) -> None:
    (workspace / "requirements/model.in").write_text("native==1.0\npure==1.0\n")
    renew(_ARM64, workspace, uv, "x")
    (workspace / "requirements/model.in").write_text("native<2\n")
    kept = renew(_ARM64, workspace, uv, "x")
    assert [item.version for item in kept] == ["1.0", "1.0"]
    upgraded = renew(_ARM64, workspace, uv, "x", upgrade=True)
    assert [item.version for item in upgraded] == ["1.1", "1.1"]


def test_threads_that_renew_the_same_lock_do_not_disturb_each_other(
    workspace: Path, uv: Uv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has written its file before any moves one into place."""
    together, move = threading.Barrier(4), Path.replace

    def replace(source: Path, target: Path) -> Path:
        together.wait(60)
        return move(source, target)

    monkeypatch.setattr(Path, "replace", replace)
    with ThreadPoolExecutor(4) as pool:
        made = [pool.submit(renew, _ARM64, workspace, uv, "renew it") for _ in range(4)]
        assert all(len(each.result()) == 2 for each in made)
    assert [path.name for path in (workspace / "requirements").iterdir() if path.name.startswith(".")] == []


def test_a_lock_takes_the_versions_of_another(workspace: Path, uv: Uv) -> None:
    (workspace / "requirements/amd64.txt").write_text(f"# native-1.0-x.whl\nnative==1.0 --hash=sha256:{'0' * 64}\n")
    plan = LockPlan(_ARM64.output, _ARM64.inputs, ARM64, "requirements/amd64.txt")
    locked = renew(plan, workspace, uv, "x")
    assert [(item.name, item.version) for item in locked] == [("native", "1.0"), ("pure", "1.1")]
    assert "constraints" not in (workspace / plan.output).read_text()


def test_a_release_without_a_wheel_for_the_platform_leaves_the_lock_alone(workspace: Path, uv: Uv) -> None:
    renew(_ARM64, workspace, uv, "x")
    before = (workspace / _ARM64.output).read_text()
    (workspace / "requirements/model.in").write_text("native==2.0\n")
    with pytest.raises(ChassisError) as error:
        renew(_ARM64, workspace, uv, "x")
    assert "native" in str(error.value) and "aarch64" in str(error.value)
    assert (workspace / _ARM64.output).read_text() == before


def test_a_package_that_is_nowhere_is_named(workspace: Path, uv: Uv) -> None:
    (workspace / "requirements/model.in").write_text("ghost-package\n")
    with pytest.raises(ChassisError, match="ghost-package"):
        renew(_ARM64, workspace, uv, "x")


_RESOLVED = """\
native==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via
    #   -r model.in
    #   -c /tmp/constraints.txt
    #   other
"""


def test_the_reasons_of_a_requirement_are_kept_but_for_our_own() -> None:
    wheels = {"native==1.0": [WheelFile("native-1.0-py3-none-any.whl", "bb", 7)]}
    (item,) = narrow(_RESOLVED, wheels, AMD64)
    assert item.comments == ("via -r model.in, other",)
    assert item.wheel.sha256 == "bb"


def test_a_hash_that_the_resolution_did_not_see_is_refused() -> None:
    wheels = {"native==1.0": [WheelFile("native-1.0-py3-none-any.whl", "cc", 7)]}
    with pytest.raises(ChassisError, match=r"native==1.0: the index gave two answers"):
        narrow(_RESOLVED, wheels, AMD64)


def test_files_of_a_pylock_are_read_by_name_url_or_path(tmp_path: Path) -> None:
    path = tmp_path / "pylock.toml"
    path.write_text(
        'lock-version = "1.0"\n[[packages]]\nname = "a"\nversion = "1"\nwheels = [\n'
        '  { url = "https://i.test/a-1%2Bx-py3-none-any.whl?x#y", size = 3, hashes = { sha256 = "AA" } },\n'
        '  { path = "w/a-1-py2-none-any.whl", hashes = { sha256 = "bb" } },\n'
        '  { url = "https://i.test/a-1-cp1-none-any.whl", hashes = { md5 = "cc" } },\n]\n'
    )
    assert read_pylock(path) == {
        "a==1": [WheelFile("a-1+x-py3-none-any.whl", "aa", 3), WheelFile("a-1-py2-none-any.whl", "bb", 0)]
    }


def test_a_lock_names_no_index() -> None:
    wheels = {"native==1.0": [WheelFile("native-1.0-py3-none-any.whl", "bb", 7)]}
    assert "://" not in format_lock(narrow(_RESOLVED, wheels, AMD64), _ARM64, "renew it")


def test_a_distribution_that_is_to_be_built_is_locked_by_its_sdist() -> None:
    files = [WheelFile("native-1.0-py3-none-any.whl", "aa", 7), WheelFile("native-1.0.tar.gz", "bb", 7)]
    (item,) = narrow(_RESOLVED, {"native==1.0": files}, AMD64, ["native"])
    assert (item.wheel.filename, item.wheel.sha256) == ("native-1.0.tar.gz", "bb")
    (wheel,) = narrow(_RESOLVED, {"native==1.0": files}, AMD64)
    assert wheel.wheel.sha256 == "aa"


def test_a_distribution_without_an_sdist_cannot_be_built() -> None:
    wheels = {"native==1.0": [WheelFile("native-1.0-py3-none-any.whl", "aa", 7)]}
    with pytest.raises(ChassisError, match=r"native==1\.0 is to be built, and the index has no sdist of it"):
        narrow(_RESOLVED, wheels, AMD64, ["native"])

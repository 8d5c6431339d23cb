"""Locks that the real uv made, read as a hub reads them: against uv's export and packaging. The index is local."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.pylock import Pylock
from packaging.requirements import Requirement

from chassis.locking.target import LockTarget
from chassis.locking.uv import find_uv
from tests.locks.starlark_module import load

AMD64 = LockTarget("x86_64", (3, 11), 36)
ARM64 = LockTarget("aarch64", (3, 11), 36)

_READERS = Path(os.environ["LOCK_READERS"]).parent
_LOCK = load(_READERS / "wheel_lock.bzl").wheel_lock
_TARGET = load(_READERS / "lock_target.bzl")
_TARGETS = {"linux_amd64_py311": AMD64, "linux_arm64_gpu_py311": ARM64}
_NATIVE = [f"cp311-cp311-manylinux_2_28_{machine}" for machine in ("x86_64", "aarch64")]

# Each release: name, version, tags of its wheels, further lines of METADATA.
_RELEASES = [
    ("pure", "1.0", ["py3-none-any"], ""),
    ("native", "1.0", [*_NATIVE, "cp312-cp312-manylinux_2_28_x86_64", "cp311-abi3-win_amd64"], ""),
    ("torch", "2.1", _NATIVE, "Requires-Dist: pure"),
    ("torch", "2.0+cpu", _NATIVE, "Requires-Dist: pure"),
    ("idna", "3.10", ["py3-none-any"], ""),
    ("idna", "3.11", ["py3-none-any"], ""),
    ("socks", "1.7", ["py2-none-any", "py3-none-any"], ""),
    ("fast-json", "5.0", _NATIVE, ""),
    (
        "web",
        "2.0",
        ["py3-none-any"],
        "Provides-Extra: Sock_Et\nProvides-Extra: all\nRequires-Dist: idna\n"
        "Requires-Dist: socks; extra == 'Sock_Et'\nRequires-Dist: web[Sock_Et]; extra == 'all'\n"
        "Requires-Dist: fast-json; extra == 'all' and platform_machine == 'aarch64'",
    ),
    ("windows-only", "1.0", ["py3-none-any"], ""),
]


def _write_index(directory: Path) -> None:
    for name, version, tags, metadata in _RELEASES:
        page = directory / "simple" / name
        page.mkdir(parents=True, exist_ok=True)
        stem = f"{name.replace('-', '_')}-{version}"
        links = []
        for tag in tags:
            path = page / f"{stem}-{tag}.whl"
            with zipfile.ZipFile(path, "w") as archive:
                about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}\n"
                archive.writestr(f"{stem}.dist-info/METADATA", about)
                wheel = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
                archive.writestr(f"{stem}.dist-info/WHEEL", wheel)
                archive.writestr(f"{stem}.dist-info/RECORD", "")
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            links.append(f'<a href="{path.name.replace("+", "%2B")}#sha256={digest}">{path.name}</a><br>\n')
        with (page / "index.html").open("a") as index:
            index.writelines(links)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("index")
    _write_index(directory)
    handler = functools.partial(_Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        del arguments


@pytest.fixture
def uv(index: str, tmp_path: Path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PYTHON", "PIP_"))}
    environment = {**kept, "HOME": str(tmp_path), "UV_CACHE_DIR": str(tmp_path / "cache"), "UV_DEFAULT_INDEX": index}

    def run(*arguments: str) -> str:
        command = [str(find_uv()), *arguments, "--python", sys.executable]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def _select(path: Path, platform: str, extras: list[str] | None = None, groups: list[str] | None = None):
    name = f"//:{path.name}"
    read = _LOCK.read(SimpleNamespace(file=name, texts={name: path.read_text()}))
    assert read.broken is None
    selected = _LOCK.select(read, _TARGET.lock_target(platform), extras or [], groups or [])
    assert selected.problems == {}
    return selected.pins


def _versions(pins) -> dict[str, str]:
    return {name: pin.version for name, pin in pins.items()}


def _environment(platform: str) -> dict[str, str]:
    environment = _TARGET.lock_target(platform).environment()
    return {name: value for name, value in environment.items() if isinstance(value, str)}


def _exported(text: str, platform: str) -> dict[str, str]:
    """What pip would install of a requirements file without hashes, on the platform."""
    found = {}
    for line in text.splitlines():
        if "==" not in line or line.lstrip().startswith("#"):
            continue
        requirement = Requirement(line.strip())
        if requirement.marker is None or requirement.marker.evaluate(_environment(platform)):
            (pinned,) = requirement.specifier
            assert requirement.name not in found
            found[requirement.name] = pinned.version
    return found


_REQUIREMENTS = """\
web[all]
native
torch==2.0+cpu ; platform_machine == "x86_64"
torch==2.1 ; platform_machine != "x86_64"
idna==3.10 ; platform_machine == "x86_64"
idna==3.11 ; platform_machine != "x86_64"
windows-only ; sys_platform == "win32"
"""


@pytest.mark.parametrize("platform", sorted(_TARGETS))
def test_a_universal_lock_is_what_pip_would_install_on_each_platform(tmp_path: Path, uv, platform: str) -> None:
    (tmp_path / "r.in").write_text(_REQUIREMENTS)
    options = ["pip", "compile", "r.in", "--universal", "--python-version", "3.11", "--no-strip-extras", "-o", "r.txt"]
    uv(*options, "--generate-hashes", "--quiet")
    pins = _select(tmp_path / "r.txt", platform)
    plain = uv("pip", "compile", "r.in", "--universal", "--python-version", "3.11", "--no-annotate", "--quiet")
    assert _versions(pins) == _exported(plain, platform)
    arm64 = platform == "linux_arm64_gpu_py311"
    assert pins["torch"].version == ("2.1" if arm64 else "2.0+cpu")
    assert pins["web"].extras == ["all"]
    assert ("fast-json" in pins) == arm64
    assert "windows-only" not in pins


@pytest.mark.parametrize("platform", sorted(_TARGETS))
def test_of_a_pylock_the_files_are_taken_that_packaging_takes(tmp_path: Path, uv, platform: str) -> None:
    (tmp_path / "r.in").write_text(_REQUIREMENTS)
    uv("pip", "compile", "r.in", "--universal", "--python-version", "3.11", "-o", "pylock.toml", "--quiet")
    path = tmp_path / "pylock.toml"
    pins = _select(path, platform)
    chosen = Pylock.from_dict(tomllib.loads(path.read_text())).select(
        environment=_environment(platform), tags=list(_TARGETS[platform].tags())
    )
    wanted = {package.name: (str(package.version), file.filename, file.hashes["sha256"]) for package, file in chosen}
    assert {name: (pin.version, pin.wheel, pin.hashes[0]) for name, pin in pins.items()} == wanted
    assert len(wanted) >= 5


_PROJECT = """\
[project]
name = "team.Models"
version = "0.1"
requires-python = ">=3.11"
dependencies = ["web[all]", "pure"]

[project.optional-dependencies]
CPU = ["torch==2.0+cpu", "idna==3.10"]
cuda_13 = ["torch==2.1", "idna==3.11"]

[dependency-groups]
dev = ["windows-only"]
serve = ["native"]

[tool.uv]
conflicts = [[{ extra = "CPU" }, { extra = "cuda_13" }]]
"""


@pytest.mark.parametrize("platform", sorted(_TARGETS))
@pytest.mark.parametrize("groups", [[], ["serve"]])
@pytest.mark.parametrize("extras", [[], ["cpu"], ["cuda-13"]])
def test_of_a_uv_lock_is_taken_what_uv_exports(
    tmp_path: Path, uv, platform: str, extras: list[str], groups: list[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text(_PROJECT)
    uv("lock", "--quiet")
    options = [option for extra in extras for option in ("--extra", extra)]
    options += [option for group in groups for option in ("--group", group)]
    plain = uv("export", "--frozen", "--no-dev", "--no-hashes", "--no-emit-project", "--no-annotate", *options)
    pins = _select(tmp_path / "uv.lock", platform, extras, groups)
    assert _versions(pins) == _exported(plain, platform)
    assert ("torch" in pins) == bool(extras)
    assert ("native" in pins) == bool(groups)
    assert ["socks", []] in pins["web"].requires["all"]
    for pin in pins.values():
        assert pin.wheel and len(pin.hashes) == 1


def test_conflicting_extras_at_once_are_an_error_of_what_they_choose(tmp_path: Path, uv) -> None:
    (tmp_path / "pyproject.toml").write_text(_PROJECT)
    uv("lock", "--quiet")
    name = "//:uv.lock"
    read = _LOCK.read(SimpleNamespace(file=name, texts={name: (tmp_path / "uv.lock").read_text()}))
    selected = _LOCK.select(read, _TARGET.lock_target("linux_amd64_py311"), ["cpu", "cuda-13"], [])
    assert set(selected.problems) == {"torch", "idna"}
    assert "both are asked for on linux_amd64" in selected.problems["torch"]
    assert "pure" in selected.pins

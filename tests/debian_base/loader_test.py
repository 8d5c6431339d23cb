"""glibc's loader finds through the cache what lies outside its own directories, and nothing without it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from chassis.declaration.pythons import TOOLS_PYTHON
from chassis.oci.layer.library_cache import library_cache

_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_ODD = "opt/odd/lib"
_PROGRAM = """
import ctypes, sys
ctypes.CDLL(sys.argv[1])
print(*{line.split()[-1] for line in open("/proc/self/maps") if "odd" in line})
"""
_CONFIGURATIONS = {
    "etc/ld.so.conf.d/odd.conf": f"/{_ODD}\n".encode(),
    "etc/ld.so.conf.d/x86_64-linux-gnu.conf": b"/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What of a root file system is beside Debian's Python: a library in a directory that nobody searches."""
    python = Path(os.environ["PYTHON"]).resolve().parent / "root"
    odd = tmp_path / "odd"
    odd.mkdir()
    for name in ("libodd.so.10", "libodd.so.9"):
        shutil.copy((python / _LIBRARIES / "libffi.so.8").resolve(), odd / name)
    return python


def _loaded(root: Path, folder: Path, name: str, cache: bytes | None) -> subprocess.CompletedProcess[str]:
    """Python loads a library by its bare name in a root of its own."""
    command = [os.environ["BWRAP"], "--unshare-user", "--ro-bind", "/proc", "/proc"]
    command += ["--ro-bind", str(root / "lib"), "/lib", "--ro-bind", str(root / "usr"), "/usr"]
    command += ["--ro-bind", str(folder / "odd"), f"/{_ODD}"]
    if cache is not None:
        (folder / "cache").write_bytes(cache)
        command += ["--ro-bind", str(folder / "cache"), "/etc/ld.so.cache"]
    command += [
        "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        f"/usr/bin/python{TOOLS_PYTHON}",
        "-I",
        "-c",
        _PROGRAM,
        name,
    ]
    environment = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


def _cache(root: Path) -> bytes | None:
    own = [f"{_LIBRARIES}/{path.name}" for path in (root / _LIBRARIES).iterdir()]
    return library_cache(_CONFIGURATIONS, [*own, f"{_ODD}/libodd.so.9", f"{_ODD}/libodd.so.10"], "amd64")


@pytest.mark.parametrize("name", ["libodd.so.9", "libodd.so.10"])
def test_a_library_is_found_through_the_cache(root: Path, tmp_path: Path, name: str) -> None:
    done = _loaded(root, tmp_path, name, _cache(root))
    assert (done.stdout, done.returncode) == (f"/{_ODD}/{name}\n", 0), done.stderr


def test_without_the_cache_it_is_not_found(root: Path, tmp_path: Path) -> None:
    done = _loaded(root, tmp_path, "libodd.so.9", None)
    assert done.returncode == 1
    assert "libodd.so.9: cannot open shared object file" in done.stderr

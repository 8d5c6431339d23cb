"""Libraries are found as the loader would find them."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.oci.layer.library_cache import library_cache
from chassis.runtime.core.shared_libraries import finder


def _nothing(name: str) -> str | None:
    return None


def _asked(name: str) -> str | None:
    return f"asked for {name}"


def test_the_name_that_programs_are_linked_to(tmp_path: Path) -> None:
    directory = tmp_path / "usr/lib/aarch64-linux-gnu"
    directory.mkdir(parents=True)
    for name in ("libz.so.1.2.13", "libz.so.1", "libz.so", "libzip.so.5", "liby.so", "libx.so.2.0"):
        (directory / name).touch()
    find = finder(_asked, f"{tmp_path}/")
    assert [find(name) for name in ("z", "zip", "y", "x", "w")] == [
        "libz.so.1",
        "libzip.so.5",
        "liby.so",
        "libx.so.2.0",
        "asked for w",
    ]


def test_what_the_loaders_cache_has(tmp_path: Path) -> None:
    cache = library_cache({"etc/ld.so.conf.d/x.conf": b"/opt/x/lib\n"}, ["opt/x/lib/libx.so.3"], "amd64")
    assert cache is not None
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ld.so.cache").write_bytes(cache)
    assert finder(_nothing, f"{tmp_path}/")("x") == "libx.so.3"


def test_directories_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libmine.so.1").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    assert finder(_nothing, f"{tmp_path}/none/")("mine") == "libmine.so.1"


@pytest.mark.parametrize("before", ["", "import ctypes.util; "])
def test_the_module_is_mended_whenever_it_is_imported(before: str) -> None:
    path = [entry for entry in sys.path if entry]
    program = (
        f"import os, sys; sys.path[:] = {path!r}; os.environ['PATH'] = '/nowhere'; {before}"
        "from chassis.runtime.core.shared_libraries import mend_find_library; mend_find_library(); "
        "import ctypes.util; print(ctypes.util.find_library('c'))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "libc.so.6\n", ran.stderr
    assert ctypes.CDLL(ran.stdout.strip())

"""The loader's cache: when there is one, what is in it, and that glibc's own programs read it."""

from __future__ import annotations

import itertools
import os
import re
import struct
import subprocess
from pathlib import Path

from chassis.oci.layer.library_cache import _compare, library_cache

_CONFIGURATIONS = {
    "etc/ld.so.conf.d/libc.conf": b"# libc default configuration\n/usr/local/lib\n",
    "etc/ld.so.conf.d/odd.conf": b"/opt/odd/lib # where odd has it\n",
    "etc/ld.so.conf.d/x86_64-linux-gnu.conf": b"/usr/local/lib/x86_64-linux-gnu\n/lib/x86_64-linux-gnu\n",
}
_PATHS = (
    "opt/odd/lib/libodd.so.1",
    "opt/odd/lib/libodd.so.1.2",
    "opt/odd/lib/libodd.so.1.10",
    "opt/odd/lib/libz.so.1",
    "opt/odd/lib/notes.txt",
    "usr/lib/x86_64-linux-gnu/libc.so.6",
    "usr/lib/x86_64-linux-gnu/libz.so.1",
    "usr/lib/x86_64-linux-gnu/liblevel.so.2",
    "usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3/liblevel.so.2",
    "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
)


def _cache(paths: tuple[str, ...] = _PATHS, architecture: str = "amd64") -> bytes | None:
    return library_cache(_CONFIGURATIONS, paths, architecture)


def _entries(data: bytes) -> list[tuple[str, int, str]]:
    """Name, flags and path, in the order of the file."""
    count = struct.unpack_from("<I", data, 20)[0]
    found = []
    for number in range(count):
        flags, key, value = struct.unpack_from("<III", data, 48 + 24 * number)
        name, path = (data[start : data.index(b"\0", start)].decode() for start in (key, value))
        found.append((name, flags, path))
    return found


def test_there_is_none_where_the_loader_finds_all_by_itself() -> None:
    assert _cache(tuple(path for path in _PATHS if not path.startswith("opt/"))) is None
    assert _cache(("usr/local/lib/notes.txt",)) is None


def test_every_library_is_there_once_in_the_order_of_directories() -> None:
    found = {name: path for name, _, path in _entries(_cache() or b"")}
    assert found == {
        "ld-linux-x86-64.so.2": "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        "libc.so.6": "/lib/x86_64-linux-gnu/libc.so.6",
        "libodd.so.1": "/opt/odd/lib/libodd.so.1",
        "libodd.so.1.10": "/opt/odd/lib/libodd.so.1.10",
        "libodd.so.1.2": "/opt/odd/lib/libodd.so.1.2",
        "libz.so.1": "/opt/odd/lib/libz.so.1",
    }


def test_the_order_of_paths_does_not_matter() -> None:
    assert _cache() == _cache(_PATHS[::-1])


def test_the_flags_are_the_architectures() -> None:
    assert {flags for _, flags, _ in _entries(_cache() or b"")} == {0x0303}
    assert {flags for _, flags, _ in _entries(_cache(architecture="arm64") or b"")} == {0x0A03}


def test_names_are_in_the_order_that_glibc_searches() -> None:
    names = [name for name, _, _ in _entries(_cache() or b"")]
    assert [name for name in names if "odd" in name] == ["libodd.so.1.10", "libodd.so.1.2", "libodd.so.1"]
    for one, other in itertools.pairwise(names):
        assert _compare(one, other) > 0 > _compare(other, one)
    assert _compare("libA.so.010", "libA.so.10") == 0
    assert _compare("lib1", "libx") > 0


def test_ldconfig_prints_it(tmp_path: Path) -> None:
    program = os.environ["CHASSIS_TEST_LDCONFIG"]
    file = tmp_path / "cache"
    file.write_bytes(_cache() or b"")
    done = subprocess.run([program, "-p", "-C", file], capture_output=True, text=True, check=True, timeout=60)
    printed = re.findall(r"^\t(\S+) \(libc6,x86-64\) => (\S+)$", done.stdout, re.MULTILINE)
    assert printed == [(name, path) for name, _, path in _entries(file.read_bytes())]

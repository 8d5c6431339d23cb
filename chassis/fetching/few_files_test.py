"""Tests of few_files.py, on a library of three modules and on the Python that runs."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import zipfile
from pathlib import Path

_FEW_FILES = os.environ["FEW_FILES"]
_LIBRARY = f"usr/lib/python{sys.version_info.major}.{sys.version_info.minor}"
_ARCHIVE = f"usr/lib/python{sys.version_info.major}{sys.version_info.minor}.zip"


def _root(place: Path) -> Path:
    """An unpacked Python: a package, a module that does not compile, data, an extension, a library with a link."""
    library = place / _LIBRARY
    (library / "pack").mkdir(parents=True)
    (library / "lib-dynload").mkdir()
    (library / "pack/__init__.py").write_text("VALUE = 3\n")
    (library / "bad.py").write_text("print 1\n")
    (library / "pack/data.txt").write_text("data")
    (library / "lib-dynload/_x.so").write_bytes(b"\x7fELF")
    libraries = place / "usr/lib/x86_64-linux-gnu"
    libraries.mkdir()
    (libraries / "libx.so.1.2").write_bytes(b"library")
    (libraries / "libx.so.1").symlink_to("libx.so.1.2")
    (libraries / "libx.so").symlink_to("libx.so.1")
    (place / "lib64").mkdir()
    (place / "lib64/ld.so.2").symlink_to("../usr/lib/x86_64-linux-gnu/libx.so.1")
    compileall.compile_dir(library, quiet=2)
    return place


def _pack(root: Path) -> None:
    subprocess.run([sys.executable, "-S", _FEW_FILES, root, "usr"], check=True)


def _tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_library_becomes_one_archive_and_its_extensions_stay(tmp_path: Path) -> None:
    root = _root(tmp_path)
    _pack(root)
    assert sorted(_tree(root)) == [
        "lib64/ld.so.2",
        f"{_LIBRARY}/lib-dynload/_x.so",
        _ARCHIVE,
        "usr/lib/x86_64-linux-gnu/libx.so",
        "usr/lib/x86_64-linux-gnu/libx.so.1",
    ]
    with zipfile.ZipFile(root / _ARCHIVE) as archive:
        assert archive.namelist() == ["bad.py", "pack/__init__.pyc", "pack/data.txt"]
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_python_imports_from_the_archive(tmp_path: Path) -> None:
    root = _root(tmp_path)
    _pack(root)
    environment = {"PYTHONPATH": str(root / _ARCHIVE)} | {
        name: os.environ[name] for name in ("PYTHONHOME",) if name in os.environ
    }
    program = "import pack, pkgutil; print(pack.VALUE, pkgutil.get_data('pack', 'data.txt'))"
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout == "3 b'data'\n"


def test_the_same_files_give_the_same_bytes_whatever_their_times(tmp_path: Path) -> None:
    first, second = _root(tmp_path / "a"), _root(tmp_path / "b")
    for path in second.rglob("*.txt"):
        os.utime(path, (0, 0))
    for root in (first, second):  # as the build compiles them: without a time, and without the directory's name
        options = ["-qq", "-f", "--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", "/"]
        subprocess.run([sys.executable, "-m", "compileall", *options, root / _LIBRARY])
        _pack(root)
    assert _tree(first) == _tree(second)


def test_a_library_has_one_name_for_each_that_programs_ask_for_and_no_link(tmp_path: Path) -> None:
    root = _root(tmp_path)
    _pack(root)
    assert [path for path in (root / "usr").rglob("*") if path.is_symlink()] == []
    assert (root / "usr/lib/x86_64-linux-gnu/libx.so.1").read_bytes() == b"library"

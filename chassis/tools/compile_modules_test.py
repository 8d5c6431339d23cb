"""Modules compiled to be imported without their sources."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from chassis.tools.compile_modules import main


def imported(code: str, *roots: Path) -> str:
    paths = f"import sys; sys.path[:0] = {[str(root) for root in roots]}; "
    return subprocess.run([sys.executable, "-I", "-c", paths + code], capture_output=True, text=True, check=True).stdout


def test_a_module_is_imported_from_bytecode_alone(tmp_path: Path) -> None:
    source = tmp_path / "one.py"
    source.write_text("WORD = 'found'\n")
    assert main([f"--output={tmp_path}/out", f"package/one.py={source}"]) == 0
    source.unlink()
    assert imported("import one; print(one.WORD, one.__file__)", tmp_path / "out/package").split() == [
        "found",
        f"{tmp_path}/out/package/one.pyc",
    ]


def test_the_same_source_gives_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.py").write_text("def double(x):\n    return 2 * x\n")
        assert main([f"--output={tmp_path}/{name}", f"package/one.py={tmp_path}/{name}/one.py"]) == 0
    here, there = ((tmp_path / name / "package/one.pyc").read_bytes() for name in ("here", "there"))
    assert here == there


def test_a_wheels_data_comes_along_and_what_does_not_compile_stays_a_source(tmp_path: Path) -> None:
    wheel = tmp_path / "wheel"
    (wheel / "pure").mkdir(parents=True)
    (wheel / "pure/__init__.py").write_text("from importlib.resources import files\n")
    (wheel / "pure/template.py").write_text("{% not Python %}\n")
    (wheel / "pure/table.txt").write_text("7\n")
    assert main([f"--output={tmp_path}/out", f"root={wheel}"]) == 0
    assert imported("import pure; print(pure.files('pure').joinpath('table.txt').read_text())", tmp_path / "out/root")
    assert sorted(file.name for file in (tmp_path / "out/root/pure").iterdir()) == [
        "__init__.pyc",
        "table.txt",
        "template.py",
    ]


def test_extension_modules_and_their_libraries_come_along(tmp_path: Path) -> None:
    wheel = tmp_path / "wheel"
    for folder in ("native", "native.libs"):
        (wheel / folder).mkdir(parents=True)
    (wheel / "native/__init__.py").write_text("")
    (wheel / "native/core.abi3.so").write_bytes(b"module")
    (wheel / "native.libs/libx.so.1").write_bytes(b"library")
    assert main([f"--output={tmp_path}/out", f"root={wheel}"]) == 0
    written = {
        str(path.relative_to(tmp_path / "out/root")) for path in (tmp_path / "out/root").rglob("*.*") if path.is_file()
    }
    assert written == {"native/__init__.pyc", "native/core.abi3.so", "native.libs/libx.so.1"}


def test_what_only_cffi_loads_comes_along_if_cffi_does(tmp_path: Path) -> None:
    (tmp_path / "wheel/fast").mkdir(parents=True)
    (tmp_path / "wheel/fast/_cffi.cpython-311-x86_64-linux-gnu.so").write_bytes(b"module")
    (tmp_path / "cffi").mkdir()
    (tmp_path / "cffi/_cffi_backend.cpython-311-x86_64-linux-gnu.so").write_bytes(b"backend")
    found = {}
    for name, roots in {"without": ["wheel"], "with": ["wheel", "cffi"]}.items():
        out = tmp_path / name
        assert main([f"--output={out}", *(f"{root}={tmp_path}/{root}" for root in roots)]) == 0
        found[name] = {path.name.partition(".")[0] for path in out.rglob("*.so")}
    assert found == {"without": set(), "with": {"_cffi", "_cffi_backend"}}

"""The unpacking of wheels for the build machine."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from chassis.oci.layer.wheel_source import WheelError
from chassis.oci.layer.wheel_unpacking import unpack
from chassis.tools import unpack_wheel

_INFO = "demo-1.0.dist-info"
_FILES = {
    "demo/__init__.py": b"VALUE = 42\n",
    "demo/template.py": b"this is {no} Python\n",
    "demo-1.0.data/scripts/demo-tool": b"#!python\nprint('x')\n",
    f"{_INFO}/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
    f"{_INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{_INFO}/entry_points.txt": b"[console_scripts]\ndemo = demo:main\n",
}


def _wheel(directory: Path, **changes: bytes) -> Path:
    files = _FILES | changes
    rows = []
    for name, data in files.items():
        value = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows.append(f"{name},sha256={value},{len(data)}\n")
    path = directory / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr(f"{_INFO}/RECORD", "".join([*rows, f"{_INFO}/RECORD,,\n"]))
    return path


def _main(*arguments: str | Path) -> int:
    umask = os.umask(0o077)
    try:
        return unpack_wheel.main([str(argument) for argument in arguments])
    finally:
        os.umask(umask)


def test_a_wheel_becomes_an_importable_directory(tmp_path):
    out = tmp_path / "out"
    assert _main("--wheel", _wheel(tmp_path), "--output", out) == 0
    code = "import demo, importlib.metadata as m; print(demo.VALUE, m.version('demo'))"
    ran = subprocess.run(
        [sys.executable, "-B", "-c", code], env={"PYTHONPATH": str(out)}, stdout=subprocess.PIPE, text=True, check=True
    )
    assert ran.stdout == "42 1.0\n"
    assert (out / "demo" / "__init__.py").stat().st_mode & 0o777 == 0o644
    assert (out / "bin" / "demo").stat().st_mode & 0o777 == 0o755
    assert (out / "bin" / "demo-tool").read_bytes().startswith(b"#!/usr/bin/python3\n")
    assert not list(out.rglob("*.pyc"))


def test_bytecode_is_compiled_where_asked_for_and_the_same_each_time(tmp_path):
    wheel = _wheel(tmp_path)
    found = []
    for name in ("1", "2"):
        assert _main("--wheel", wheel, "--output", tmp_path / name, "--bytecode") == 0
        (compiled,) = (tmp_path / name).rglob("*.pyc")
        found.append(compiled.read_bytes())
    assert found[0] == found[1]
    assert found[0][4:8] == b"\1\0\0\0"  # PEP 552: hash-based, unchecked
    assert str(tmp_path).encode() not in found[0]


def test_a_bad_wheel_is_named_and_leaves_an_empty_directory(tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    wheel = _wheel(tmp_path, **{"../escape.py": b"x"})
    assert _main("--wheel", wheel, "--output", out) == 1
    assert "error: demo-1.0-py3-none-any.whl: member '../escape.py' climbs out" in capsys.readouterr().err
    assert list(out.iterdir()) == []
    assert not (tmp_path / "escape.py").exists()


def test_damage_found_half_way_leaves_an_empty_directory(tmp_path):
    wheel = _wheel(tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        info = archive.getinfo(f"{_INFO}/METADATA")
    data = bytearray(wheel.read_bytes())
    data[info.header_offset + 30 + len(info.filename) + 5] ^= 0xFF
    wheel.write_bytes(data)
    with pytest.raises(WheelError, match=r"demo-1\.0-py3-none-any\.whl: member"):
        unpack(wheel, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []

"""A wheel of a hub's unpacked files, by the program that the build runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from chassis.oci.layer.wheel_source import open_wheel

_INFO = "Demo_Pkg-1.0.dist-info"
_FILES = {
    "bin/tool": b"#!python\nprint()\n",
    "data/share/demo/notes.txt": b"notes\n",
    "site-packages/demo/__init__.py": b"",
    "site-packages/demo/__pycache__/__init__.cpython-311.pyc": b"made here",
    "site-packages/demo/fast.so": b"\x7fELF" + bytes(60),
    f"site-packages/{_INFO}/INSTALLER": b"pip\n",
    f"site-packages/{_INFO}/METADATA": b"Metadata-Version: 2.1\nName: Demo.Pkg\nVersion: 1.0\n",
    f"site-packages/{_INFO}/RECORD": b"demo/__init__.py,,\n",
    f"site-packages/{_INFO}/WHEEL": b"Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_28_x86_64\n",
}


def _pack(
    directory: Path, files: dict[str, bytes], distribution: str = "demo-pkg"
) -> tuple[subprocess.CompletedProcess[str], Path]:
    wheel = directory / "demo_pkg-1.0-py3-none-unpacked.whl"
    command = [sys.executable, "-m", "chassis.tools.wheel_of_files", f"--distribution={distribution}"]
    for name, data in files.items():
        source = directory / "repository" / name
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(data)
        command.append(f"--file={name}={source}")
    done = subprocess.run([*command, f"--output={wheel}"], capture_output=True, text=True, timeout=60)
    return done, wheel


def test_the_wheel_holds_what_was_unpacked_and_a_record_of_it(tmp_path: Path) -> None:
    done, path = _pack(tmp_path, _FILES)
    assert (done.returncode, done.stderr) == (0, "")
    with open_wheel(path) as wheel:
        content = {record[0]: record[1] for record, _, _ in wheel.get_contents()}
    assert sorted(content) == [
        "Demo_Pkg-1.0.data/data/share/demo/notes.txt",
        "Demo_Pkg-1.0.data/scripts/tool",
        "Demo_Pkg-1.0.dist-info/METADATA",
        "Demo_Pkg-1.0.dist-info/WHEEL",
        "demo/__init__.py",
        "demo/fast.so",
    ]
    assert all(digest.startswith("sha256=") for digest in content.values())


def test_a_hub_without_the_distributions_metadata_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    done, path = _pack(tmp_path, _FILES, distribution="other")
    assert done.returncode == 1
    assert "other: its hub has 0 .dist-info directories of it" in done.stderr
    assert "hub_wheels" in done.stderr
    assert not path.exists()

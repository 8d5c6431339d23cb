"""Taking one file out of a wheel, by the program that the build runs."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

_INFO = "demo-1.0.dist-info"
_FILES = {
    "demo/__init__.py": b"",
    "demo/weights/small.bin": bytes(range(256)) * 40,
    f"{_INFO}/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
    f"{_INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}


def _wheel(directory: Path) -> Path:
    path = directory / "demo-1.0-py3-none-any.whl"
    rows = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in _FILES.items():
            archive.writestr(name, data)
            value = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            rows.append(f"{name},sha256={value},{len(data)}\n")
        archive.writestr(f"{_INFO}/RECORD", "".join([*rows, f"{_INFO}/RECORD,,\n"]))
    return path


def _take(wheel: Path, file: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    output = wheel.parent / "taken"
    command = [sys.executable, "-m", "chassis.tools.wheel_file", f"--wheel={wheel}", f"--file={file}"]
    done = subprocess.run([*command, f"--output={output}"], capture_output=True, text=True, timeout=60)
    return done, output


def test_a_file_comes_out_as_it_went_in(tmp_path: Path) -> None:
    done, output = _take(_wheel(tmp_path), "demo/weights/small.bin")
    assert (done.returncode, done.stderr) == (0, "")
    assert output.read_bytes() == _FILES["demo/weights/small.bin"]


def test_a_file_that_is_not_there_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    done, output = _take(_wheel(tmp_path), "demo/weights/smal.bin")
    assert done.returncode == 1
    assert "demo-1.0-py3-none-any.whl: has no file 'demo/weights/smal.bin'" in done.stderr
    assert "there are: demo/weights/small.bin" in done.stderr
    assert not output.exists()


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    path.write_bytes(b"not a zip archive")
    done, output = _take(path, "demo/__init__.py")
    assert done.returncode == 1
    assert "demo-1.0-py3-none-any.whl: " in done.stderr
    assert not output.exists()

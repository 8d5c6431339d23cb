"""A wheel that tests put together, with what wheels may have."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import random
import tarfile
import zipfile
from pathlib import Path

SITE = "opt/venv/lib/python3.11/site-packages"
NAME = "demo_pkg-1.2-py3-none-any.whl"
INFO = "demo_pkg-1.2.dist-info"
NOISE = random.Random(2).randbytes(300_000)
FILES: dict[str, bytes] = {
    "demo_pkg/__init__.py": b"def main():\n    print('hello from demo')\n",
    "demo_pkg/empty.py": b"",
    "demo_pkg/noise.bin": NOISE,
    "demo_pkg/text.txt": b"line\n" * 400_000,
    "demo_pkg/__pycache__/x.cpython-311.pyc": b"not wanted",
    "demo_pkg-1.2.data/scripts/run-demo": b"#!python\nimport demo_pkg\n",
    "demo_pkg-1.2.data/scripts/tool": b"\x7fELF tool",
    "demo_pkg-1.2.data/data/share/demo.txt": b"data",
    "demo_pkg-1.2.data/headers/demo.h": b"#pragma once\n",
    "demo_pkg-1.2.data/platlib/demo_native.so": b"\x7fELF library",
    f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: demo-pkg\nVersion: 1.2\n",
    f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/entry_points.txt": b"[console_scripts]\ndemo = demo_pkg:main\n",
    f"{INFO}/INSTALLER": b"someone else\n",
}


def record_of(files: dict[str, bytes]) -> bytes:
    """The RECORD of a wheel with these files."""
    rows = []
    for name, data in files.items():
        value = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows.append(f"{name},sha256={value},{len(data)}\n")
    return "".join([*rows, f"{INFO}/RECORD,,\n"]).encode()


def demo_wheel(directory: Path, name: str = NAME, record: bytes | None = None, **changes: bytes | None) -> Path:
    """Writes the wheel, with some files changed, added, or left out if they are None; `record` is another RECORD."""
    files = {key: value for key, value in (FILES | changes).items() if value is not None}
    files[f"{INFO}/RECORD"] = record_of(files) if record is None else record
    path = directory / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, data in files.items():
            info = zipfile.ZipInfo(file)
            info.external_attr = (0o100755 if file.endswith(".so") else 0o100644) << 16
            info.compress_type = zipfile.ZIP_STORED if file.endswith(".bin") else zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path


def extracted(blob: bytes) -> dict[str, tuple[bytes, int]]:
    """Content and mode of each file in a layer."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as archive:
        files = ((member, archive.extractfile(member)) for member in archive if member.isfile())
        return {member.name: (file.read(), member.mode) for member, file in files if file}

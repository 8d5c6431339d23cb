"""Writes wheels of one small module each, for images that have many."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

_OUTPUT = flags.DEFINE_string("output", None, "Directory for the wheels.", required=True)
_WHEEL = flags.DEFINE_multi_string("wheel", [], "name==version of a wheel to write.")


def _write(directory: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f'VERSION = "{version}"\n'.encode(),
        # What several distributions bring alike, as NVIDIA's do.
        "shared_by_all/__init__.py": b"",
        f"shared_by_all/{name}.py": b"# one of many\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(data)}\n")
    files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"]).encode()
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            member = zipfile.ZipInfo(path)
            member.external_attr = 0o100644 << 16
            archive.writestr(member, data)


def main(argv: Sequence[str]) -> None:
    """Writes every wheel."""
    del argv
    for wheel in _WHEEL.value:
        _write(Path(_OUTPUT.value), *wheel.split("=="))


if __name__ == "__main__":
    app.run(main)

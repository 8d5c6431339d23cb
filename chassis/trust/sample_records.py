"""Wheels, records and images for tests of this room."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

METADATA = """\
Metadata-Version: 2.4
Name: Pictures
Version: 2.0
Summary: Reads pictures
Author: A. Person
License-Expression: MIT OR Apache-2.0
Project-URL: Homepage, https://pictures.example/
Requires-Dist: numbers>=1; python_version >= "3.8"
Requires-Dist: absent; extra == "more"
"""
WHEEL = "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def cyclonedx_text(*components: Mapping[str, object]) -> str:
    """A CycloneDX document as auditwheel writes it."""
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.4", "version": 1, "components": list(components)})


def sample_wheel(folder: Path, sboms: Mapping[str, str] | None = None, metadata: str = METADATA) -> Path:
    """Writes `pictures-2.0-py3-none-any.whl` with these files in `.dist-info/sboms`."""
    information = "pictures-2.0.dist-info"
    files = {"pictures.py": "x = 1\n", f"{information}/METADATA": metadata, f"{information}/WHEEL": WHEEL}
    files |= {f"{information}/sboms/{name}": text for name, text in (sboms or {}).items()}
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        record += f"{name},sha256={digest},{len(text.encode())}\n"
    files[f"{information}/RECORD"] = record + f"{information}/RECORD,,\n"
    wheel = folder / "pictures-2.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel

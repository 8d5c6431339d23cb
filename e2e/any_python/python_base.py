"""Writes an OCI layout of two layers: a layer of Debian's packages, and an installed Python as /usr/local.

python_base.py DEBIAN_LAYER PREFIX LAYOUT
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path

# What a server needs none of, or what wants libraries that the packages do not have.
_LEFT_OUT = {"__pycache__", "ensurepip", "idlelib", "lib2to3", "site-packages", "test", "tkinter", "turtledemo"}
_EXTENSIONS_LEFT_OUT = ("_crypt", "_curses", "_dbm", "_gdbm", "_sqlite3", "_tkinter", "_uuid", "nis", "readline")
_GZIP, _TAR = "application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.oci.image.layer.v1.tar"


def installed(prefix: Path) -> dict[str, Path]:
    """Path in the image to the file of the installation."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = {f"usr/local/bin/{version}": prefix / "bin" / version}
    for library in prefix.glob("lib/libpython3.*.so*"):
        if not library.is_symlink():
            found[f"usr/local/lib/{library.name}"] = library
    for place, folders, files in os.walk(prefix / "lib" / version):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT and not name.startswith("config-"))
        for name in sorted(files):
            if not (place.endswith("lib-dynload") and name.startswith(_EXTENSIONS_LEFT_OUT)):
                path = Path(place, name)
                found[f"usr/local/{path.relative_to(prefix)}"] = path
    return found


def python_layer(prefix: Path) -> bytes:
    """The tar of the installation."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, file in installed(prefix).items():
            member = tarfile.TarInfo(path)
            content = file.read_bytes()
            member.size, member.mode = len(content), 0o755 if os.access(file, os.X_OK) else 0o644
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def main(debian: Path, prefix: Path, layout: Path) -> None:
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(content: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    packages, python = debian.read_bytes(), python_layer(prefix)
    layers = [blob(packages, _GZIP), blob(python, _TAR)]
    diff_ids = [f"sha256:{hashlib.sha256(content).hexdigest()}" for content in (gzip.decompress(packages), python)]
    environment = ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "LD_LIBRARY_PATH=/usr/local/lib"]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": environment},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": layers,
    }
    named = blob(json.dumps(manifest).encode(), str(manifest["mediaType"]))
    index = {"schemaVersion": 2, "manifests": [named | {"platform": {"architecture": "amd64", "os": "linux"}}]}
    (layout / "index.json").write_text(json.dumps(index))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

"""Small OCI layouts as this build makes them, and as others do, for the tests of this package."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from chassis.oci.descriptor import Origin, Platform
from chassis.oci.explain.contents import KnownLayer, read_known
from chassis.oci.layer.outputs import LayerOutputs, write_layer
from chassis.oci.layer.writer import Compression, LayerWriter
from chassis.oci.layout import ImageLayer, RunSettings, write_layout
from chassis.oci.layout_reader import LayoutReader

SITE = "opt/venv/lib/python3.11/site-packages"
Fill = Callable[[LayerWriter], Origin]


@dataclass(frozen=True, slots=True)
class Sample:
    """A layout, and what the build knows of its layers."""

    path: Path
    known: dict[str, KnownLayer]

    @property
    def reader(self) -> LayoutReader:
        """The layout, open."""
        return LayoutReader(self.path)


def wheel(name: str, version: str, files: Mapping[str, bytes]) -> Fill:
    """A layer of one wheel; `files` are below site-packages."""

    def fill(writer: LayerWriter) -> Origin:
        _install(writer, name, version, files)
        return Origin("wheel", name, version)

    return fill


def wheels(*each: tuple[str, str, Mapping[str, bytes]]) -> Fill:
    """A layer that wheels share."""

    def fill(writer: LayerWriter) -> Origin:
        for name, version, files in each:
            _install(writer, name, version, files)
            writer.end_part(name, version)
        return Origin("wheels", ", ".join(f"{name} {version}" for name, version, _ in each))

    return fill


def _install(writer: LayerWriter, name: str, version: str, files: Mapping[str, bytes]) -> None:
    info = f"{name}-{version}.dist-info"
    for path, data in files.items():
        writer.add_bytes(f"{SITE}/{path}", data)
    record = [f"{path},," for path in (*files, f"{info}/RECORD")]
    writer.add_bytes(f"{SITE}/{info}/RECORD", "\n".join(record).encode())


def files(kind: str, name: str, version: str, contents: Mapping[str, bytes]) -> Fill:
    """A layer of files by their paths."""

    def fill(writer: LayerWriter) -> Origin:
        for path, data in contents.items():
            writer.add_bytes(path, data)
        return Origin(kind, name, version)

    return fill


def sample(directory: Path, *fills: Fill, compression: Compression = "estargz") -> Sample:
    """A layout of these layers in the new directory `directory`."""
    layers, known = [], {}
    for number, fill in enumerate(fills):
        place = directory / str(number)
        outputs = LayerOutputs(place / "blob", place / "descriptor.json", place / "files.json")
        write_layer(outputs, fill, compression)
        entry = read_known(outputs.descriptor, outputs.files)
        layers.append(ImageLayer(entry.layer, outputs.blob, entry.files))
        known[entry.layer.descriptor.digest] = entry
    layout = directory / "layout"
    write_layout(layout, Platform("arm64", variant="v8"), tuple(layers), RunSettings())
    return Sample(layout, known)


def foreign(directory: Path, *tars: Mapping[str, bytes], history: tuple[str, ...] = ()) -> Path:
    """A layout as Docker's builder would leave it: plain gzip layers, a history of commands."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes, media_type: str) -> dict[str, object]:
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(data)}

    layers, diff_ids = [], []
    for contents in tars:
        plain = _tar(contents)
        layers.append(blob(gzip.compress(plain, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip"))
        diff_ids.append(f"sha256:{hashlib.sha256(plain).hexdigest()}")
    config = {
        "architecture": "arm64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created_by": text} for text in history] + [{"created_by": "ENV A=1", "empty_layer": True}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": layers,
    }
    entry = blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return directory


def _tar(contents: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, data in contents.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()

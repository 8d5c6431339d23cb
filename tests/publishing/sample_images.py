"""Small OCI layouts with content of chance, for tests of publishing."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class SampleLayout:
    """An OCI layout directory that images are added to. The same seed gives the same bytes."""

    def __init__(self, path: Path, seed: int = 0) -> None:
        self.path = path
        self._chance = random.Random(seed)
        self.blobs = path / "blobs" / "sha256"
        self.blobs.mkdir(parents=True, exist_ok=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, data: bytes, media_type: str) -> dict:
        """Adds a blob; returns its descriptor."""
        name = hashlib.sha256(data).hexdigest()
        (self.blobs / name).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(data)}

    def layer(self, size: int) -> tuple[dict, str]:
        """Adds a layer with one file of `size` bytes; returns its descriptor and diff_id."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            info = tarfile.TarInfo(f"file{self._chance.getrandbits(32)}")
            info.size = size
            archive.addfile(info, io.BytesIO(self._chance.randbytes(size)))
        descriptor = self.blob(gzip.compress(out.getvalue(), 0, mtime=0), LAYER)
        return descriptor, f"sha256:{hashlib.sha256(out.getvalue()).hexdigest()}"

    def image(self, *sizes: int, architecture: str = "arm64", shared: tuple = ()) -> dict:
        """Adds an image of layers of these sizes, after the `shared` ones; returns its manifest's
        descriptor."""
        layers = [*shared, *(self.layer(size) for size in sizes)]
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(json.dumps(config).encode(), CONFIG),
            "layers": [descriptor for descriptor, _ in layers],
        }
        return self.blob(json.dumps(manifest).encode(), MANIFEST) | {
            "platform": {"architecture": architecture, "os": "linux"}
        }

    def index(self, *manifests: dict) -> dict:
        """Adds an image index; returns its descriptor."""
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)}
        return self.blob(json.dumps(document).encode(), INDEX)

    def finish(self, entry: dict) -> Path:
        """Writes index.json with one entry; returns the layout's directory."""
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        return self.path


def sample_image(path: Path, *sizes: int, seed: int = 0, architecture: str = "arm64") -> tuple[Path, str]:
    """A layout of one image; returns its directory and the manifest's digest."""
    layout = SampleLayout(path, seed)
    entry = layout.image(*sizes, architecture=architecture)
    return layout.finish(entry), entry["digest"]

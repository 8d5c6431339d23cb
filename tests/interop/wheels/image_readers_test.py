"""An image of real wheels' layers, pushed by skopeo to docker-registry, pulled again and unpacked by umoci."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.interop.wheels.wheel_layer import TABLE, WheelLayer, make_layer, paths_below, wheels
from tests.publishing.registry_server import RegistryServer, program, skopeo

_LIMIT_S = 900


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> list[WheelLayer]:
    folder = tmp_path_factory.mktemp("layers")
    return [make_layer(wheel, folder / name) for name, wheel in sorted(wheels().items())]


@pytest.fixture(scope="module")
def layout(layers: list[WheelLayer], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OCI layout of nothing but these layers, with the tag `wheels`."""
    layout = tmp_path_factory.mktemp("image") / "layout"
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for layer in layers:
        (blobs / layer.descriptor["digest"].removeprefix("sha256:")).hardlink_to(layer.blob)
    diff_ids = [layer.descriptor["diff_id"] for layer in layers]
    config = {"architecture": "arm64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _blob(blobs, config, "application/vnd.oci.image.config.v1+json"),
        "layers": [
            {key: layer.descriptor[key] for key in ("mediaType", "digest", "size", "annotations")} for layer in layers
        ],
    }
    entry = _blob(blobs, manifest, manifest["mediaType"]) | {
        "annotations": {"org.opencontainers.image.ref.name": "wheels"}
    }
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return layout


def _blob(blobs: Path, document: dict, media_type: str) -> dict:
    data = json.dumps(document).encode()
    name = hashlib.sha256(data).hexdigest()
    (blobs / name).write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(data)}


def test_skopeo_and_a_registry_give_every_layer_back(layout: Path, layers: list[WheelLayer], tmp_path: Path) -> None:
    with RegistryServer(tmp_path / "registry") as registry:
        remote = f"docker://{registry.address}/checked:wheels"
        skopeo(tmp_path, "copy", "--dest-tls-verify=false", f"oci:{layout}:wheels", remote)
        seen = json.loads(skopeo(tmp_path, "inspect", "--tls-verify=false", remote))
        back = tmp_path / "back"
        skopeo(tmp_path, "copy", "--src-tls-verify=false", remote, f"oci:{back}:wheels")
    assert seen["Layers"] == [layer.descriptor["digest"] for layer in layers]
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    assert seen["Digest"] == entry["digest"]
    names = {path for path, _ in paths_below(layout / "blobs")}
    assert {path for path, _ in paths_below(back / "blobs")} == names
    for name in names:
        assert _digest(back / "blobs" / name) == name.rpartition("/")[2]


def test_umoci_unpacks_what_the_layers_list(layout: Path, layers: list[WheelLayer], tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    command = [program("UMOCI"), "unpack", "--rootless", "--image", f"{layout}:wheels", str(bundle)]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    found = {path: f"sha256:{_digest(place)}" for path, place in paths_below(bundle / "rootfs") if path != TABLE}
    listed: dict[str, str] = {}
    for layer in layers:
        listed |= {path: file["digest"] for path, file in layer.files.items() if file["type"] == "file"}
    assert found == listed


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

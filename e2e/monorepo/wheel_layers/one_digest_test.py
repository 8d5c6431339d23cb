"""The layer of a wheel has one digest, whichever hub the wheel came from."""

import json
import pathlib
import sys
from collections import defaultdict

import pytest

IMAGES = [pathlib.Path(name) for name in sys.argv[1:]]


def wheels(layout: pathlib.Path) -> dict[str, str]:
    """What the history calls each wheel's layer, to its digest."""

    def blob(descriptor: dict) -> dict:
        return json.loads((layout / "blobs" / descriptor["digest"].replace(":", "/")).read_text())

    manifest = blob(json.loads((layout / "index.json").read_text())["manifests"][0])
    history = [entry for entry in blob(manifest["config"])["history"] if not entry.get("empty_layer")]
    names = [entry.get("comment") or entry.get("created_by", "") for entry in history]
    found = zip(names, manifest["layers"], strict=True)
    return {name: layer["digest"] for name, layer in found if ": wheel " in name}


def test_one_digest_through_every_hub() -> None:
    found = defaultdict(dict)
    for image in IMAGES:
        for name, digest in wheels(image).items():
            found[name][str(image)] = digest
    numpy = {name: places for name, places in found.items() if ": wheel numpy 2.4.6" in name}
    assert [len(places) for places in numpy.values()] == [len(IMAGES)]
    assert {name: places for name, places in found.items() if len(set(places.values())) > 1} == {}


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))

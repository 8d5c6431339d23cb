"""A base in several layers is the base in one layer, cut."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from chassis.declaration.pythons import DEFAULT_PYTHON
from chassis.oci.explain.image import ExplainedImage, explain_image
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.rootfs import unpack


def _image(name: str) -> ExplainedImage:
    return explain_image(LayoutReader(Path(os.environ[name])), name)


def _tree(name: str, folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """Everything in the image's root: mode, and content or the link's target."""
    root = folder / name
    unpack(LayoutReader(Path(os.environ[name])), root)
    found: dict[str, tuple[int, bytes | str]] = {}
    for place, folders, files in os.walk(root):
        for child in (Path(place, entry) for entry in folders + files):
            mode = child.lstat().st_mode
            content: bytes | str = b""
            if stat.S_ISLNK(mode):
                content = str(child.readlink())
            elif stat.S_ISREG(mode):
                content = child.read_bytes()
            found[str(child.relative_to(root))] = (mode, content)
    return found


def test_the_root_is_the_same(tmp_path: Path) -> None:
    whole, cut = _tree("IN_ONE_LAYER", tmp_path), _tree("IN_LAYERS", tmp_path)
    assert whole.keys() == cut.keys()
    assert [path for path in whole if whole[path] != cut[path]] == []
    assert {path: stat.S_IMODE(whole[path][0]) for path in ("tmp", "root", "home/nonroot")} == {
        "tmp": 0o1777,
        "root": 0o700,
        "home/nonroot": 0o700,
    }


def test_each_layer_has_its_packages() -> None:
    base = [layer for layer in _image("IN_LAYERS").layers if layer.origin.kind == "base"]
    assert [layer.origin.name for layer in base] == ["debian", "debian/python", "debian/renewed", "debian/generated"]
    packages = [{package.name for package in layer.packages if package.name} for layer in base]
    assert packages[1] == {
        f"libpython{DEFAULT_PYTHON}-minimal",
        f"libpython{DEFAULT_PYTHON}-stdlib",
        f"python{DEFAULT_PYTHON}-minimal",
    }
    assert packages[2] == {"ca-certificates", "libssl3t64", "tzdata"}
    assert packages[3] == set()
    one = _image("IN_ONE_LAYER").layers[0]
    assert set.union(*packages) == {package.name for package in one.packages if package.name}


def test_the_layers_above_are_those_of_any_image() -> None:
    above = [
        [layer.descriptor.digest for layer in _image(name).layers if layer.origin.kind not in ("base", "model")]
        for name in ("IN_LAYERS", "IN_ONE_LAYER")
    ]
    assert above[0] == above[1]
    assert len(above[0]) > 5


@pytest.mark.parametrize("name", ["IN_LAYERS", "IN_ONE_LAYER"])
def test_no_file_is_in_two_layers_of_a_base(name: str) -> None:
    seen: dict[str, int] = {}
    base = [layer for layer in _image(name).layers if layer.origin.kind == "base"]
    for number, layer in enumerate(base):
        for file in layer.files:
            if file.type != "dir" and file.path != "stargz.index.json":
                assert seen.setdefault(file.path, number) == number, file.path

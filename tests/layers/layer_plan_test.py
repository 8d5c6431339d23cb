"""Images of many wheels: how many layers they have, what is in them, and what a change re-makes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from chassis.declaration.pythons import DEFAULT_PYTHON
from chassis.oci.explain.difference import compare
from chassis.oci.explain.image import ExplainedImage, explain_image
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.rootfs import unpack

_SITE = f"opt/venv/lib/python{DEFAULT_PYTHON}/site-packages"


def _image(name: str) -> ExplainedImage:
    return explain_image(LayoutReader(Path(os.environ[name])), name)


def _digests(name: str) -> list[str]:
    return [layer.descriptor.digest for layer in _image(name).layers]


def test_more_wheels_than_layers_stay_within_the_limit():
    many = _image("MANY")
    assert 64 < len(many.layers) <= 80
    assert many.packages() == {("wheel", f"tiny-{number}"): "1.0" for number in range(104)}
    kinds = [layer.origin.kind for layer in many.layers]
    assert kinds[:64] == ["wheel"] * 64
    assert kinds.count("wheels") > 8


def test_every_wheel_is_installed_whole(tmp_path):
    unpack(LayoutReader(Path(os.environ["MANY"])), tmp_path / "root")
    site = tmp_path / "root" / _SITE
    for number in range(104):
        assert (site / f"tiny_{number}/__init__.py").read_text() == 'VERSION = "1.0"\n'
        record = (site / f"tiny_{number}-1.0.dist-info/RECORD").read_text()
        assert f"shared_by_all/tiny_{number}.py,sha256=" in record
    assert {path.stat().st_mode & 0o7777 for path in site.rglob("*") if path.is_dir()} == {0o755}


def test_what_an_image_excludes_is_in_none_of_its_layers_and_in_no_record(tmp_path):
    layout = LayoutReader(Path(os.environ["THREE_EXCLUDED"]))
    assert [layer.origin.kind for layer in _image("THREE_EXCLUDED").layers] == ["wheel", "wheels"]
    unpack(layout, tmp_path / "root")
    site = tmp_path / "root" / _SITE
    assert not (site / "shared_by_all").exists()
    for number in range(3):
        assert (site / f"tiny_{number}/__init__.py").is_file()
        assert "shared_by_all" not in (site / f"tiny_{number}-1.0.dist-info/RECORD").read_text()
    _, config = layout.image()
    assert json.loads(config.labels["dev.chassis.exclude"]) == ["shared_by_all/*"]


def test_the_same_wheels_make_the_same_layers():
    assert _digests("FEW") == _digests("FEW_AGAIN")
    assert _image("FEW").digest != _image("FEW_AGAIN").digest


def test_a_new_version_changes_one_layer():
    difference = compare(_image("FEW"), _image("FEW_CHANGED"))
    assert len(difference.fetched) == len(difference.gone) == 1
    assert [(change.name, change.before, change.after) for change in difference.packages] == [("tiny-3", "1.0", "2.0")]
    assert all("tiny_3" in change.path for change in difference.files)


def test_a_new_wheel_changes_three_layers_at_most():
    difference = compare(_image("FEW"), _image("FEW_ADDED"))
    assert 1 <= len(difference.fetched) <= 3
    assert [(change.name, change.before) for change in difference.packages] == [("tiny-new", None)]


@pytest.mark.parametrize("other", ["FEW_APART", "MANY"])
def test_layers_of_one_wheel_are_those_of_other_images(other):
    apart = {
        layer.origin.name: layer.descriptor.digest for layer in _image(other).layers if layer.origin.kind == "wheel"
    }
    few = {layer.origin.name: layer.descriptor.digest for layer in _image("FEW").layers if layer.origin.kind == "wheel"}
    common = apart.keys() & few.keys()
    assert len(common) >= (16 if other == "FEW_APART" else 0)
    assert all(apart[name] == few[name] for name in common)


def test_layers_of_a_base_that_is_a_layout_are_read_themselves():
    done = subprocess.run([os.environ["EXPLAIN_STACKED"], "--json"], capture_output=True, check=True, timeout=60)
    layers = json.loads(done.stdout)["layers"]
    assert [layer["digest"] for layer in layers[:-1]] == _digests("FEW")
    assert [layer["known_from"] for layer in layers] == ["table"] * (len(layers) - 1) + ["list"]
    assert {package["name"] for layer in layers for package in layer["packages"]} == {
        "tiny-new",
        *(f"tiny-{number}" for number in range(30)),
    }

"""Explanations as text, and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chassis.oci.explain.amounts import count_text, share_text, size_text
from chassis.oci.explain.difference import compare
from chassis.oci.explain.document import image_document
from chassis.oci.explain.image import explain_image
from chassis.oci.explain.report import difference_report, image_report
from chassis.oci.explain.sample_layouts import Sample, files, sample, wheel, wheels

_SIX = ("six", "1.16", {"six.py": b"b" * 2000})
_ATTRS = ("attrs", "23.1", {"attr/__init__.py": b"a" * 100})
_SIZES = {
    0: "0 B",
    999: "999 B",
    1000: "1.0 kB",
    99_949: "99.9 kB",
    99_951: "100 kB",
    999_600: "1.0 MB",
    -1500: "-1.5 kB",
}
_SHARES = {0.0: "0 %", 0.0001: "<0.1 %", 0.0416: "4.2 %", 0.0994: "9.9 %", 0.0996: "10 %", 1.0: "100 %"}


def _sample(directory: Path, version: str = "1") -> Sample:
    return sample(
        directory,
        files("base", "debian", "12", {"usr/lib/big.so": bytes(50_000)}),
        wheel("numpy", version, {"numpy/__init__.py": b"n" * 300}),
        wheels(_ATTRS, _SIX),
        files("model", "//model:digits", version, {"app/model/model.pkl": version.encode()}),
    )


@pytest.mark.parametrize("size", _SIZES)
def test_sizes(size):
    assert size_text(size) == _SIZES[size]


@pytest.mark.parametrize("share", _SHARES)
def test_shares(share):
    assert share_text(share) == _SHARES[share]


def test_counts():
    assert [count_text(count, "layer") for count in (0, 1, 1200)] == ["0 layers", "1 layer", "1,200 layers"]


def test_an_image_as_text(tmp_path):
    made = _sample(tmp_path / "image")
    lines = image_report(explain_image(made.reader, "//demo:image", made.known), largest=1).splitlines()
    assert lines[0] == "//demo:image  linux/arm64/v8"
    assert lines[1].startswith("sha256:")
    assert lines[2].startswith("4 layers, ") and lines[2].endswith(", 3 packages, 8 files")
    rows = [line.split("  ")[-1] for line in lines[4:9]]
    assert rows == ["layer", "base debian 12", "wheel numpy 1", "2 wheels: attrs, six", "model //model:digits 1"]
    reasons = "\n".join(lines[10:])
    for text in ("1  base: at the bottom", "2  wheel: one wheel", "3  wheels: small", "4  model: on top"):
        assert text in reasons
    assert lines[-1].split() == ["50.0", "kB", "layer", "1", "/usr/lib/big.so"]
    assert max(map(len, lines)) <= 100


def test_layers_of_one_reason_are_one_line(tmp_path):
    made = sample(tmp_path / "image", *(wheel(f"w{n}", "1", {f"w{n}.py": b""}) for n in range(3)))
    text = image_report(explain_image(made.reader, "image", made.known))
    assert text.count("one wheel, one layer") == 1
    assert "  1-3  wheel: " in text


def test_a_difference_as_text(tmp_path):
    old, new = _sample(tmp_path / "old"), _sample(tmp_path / "new", "2.0")
    before, after = explain_image(old.reader, "old"), explain_image(new.reader, "new", new.known)
    text = difference_report(compare(before, after), most=2)
    assert "A machine that has the former fetches" in text
    assert "2 layers of 4" in text
    assert "Docker's classic one" in text
    assert "  - " in text and "wheel numpy 1\n" in text and "wheel numpy 2.0\n" in text
    assert "  numpy 1 → 2.0\n" in text
    assert "Files: 1 added, 1 removed, 1 changed; " in text
    assert "… and 1 more\n" in text
    assert difference_report(compare(before, before)).endswith("The images are the same.\n")


def test_a_blob_that_is_missing_is_told(tmp_path):
    made = _sample(tmp_path / "image")
    (tmp_path / "image/0/blob").unlink()
    text = image_report(explain_image(made.reader, "image"))
    assert "The blob of layer 1 is not here" in text
    assert " ?  base debian 12" in text


def test_the_document_holds_every_file(tmp_path):
    old, new = _sample(tmp_path / "old"), _sample(tmp_path / "new", "2.0")
    image = explain_image(new.reader, "new", new.known)
    document = json.loads(json.dumps(image_document(image, compare(explain_image(old.reader, "old"), image))))
    assert document["format"] == 1
    assert [layer["origin"]["kind"] for layer in document["layers"]] == ["base", "wheel", "wheels", "model"]
    assert [len(layer["files"]) for layer in document["layers"]] == [len(layer.files) for layer in image.layers]
    assert [package["name"] for package in document["layers"][2]["packages"]] == ["attrs", "six"]
    difference = document["difference"]
    assert [len(difference["layers"][kind]) for kind in ("fetched", "shared", "gone")] == [2, 2, 2]
    assert difference["packages"] == [{"kind": "wheel", "name": "numpy", "before": "1", "after": "2.0"}]

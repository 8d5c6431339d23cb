"""Which packages are in a layer, and whose a file is."""

from __future__ import annotations

from pathlib import Path

from chassis.oci.explain.image import ExplainedImage, explain_image
from chassis.oci.explain.sample_layouts import SITE, files, foreign, sample, wheel, wheels
from chassis.oci.layout_reader import LayoutReader

_ATTRS = ("attrs", "23.1", {"attr/__init__.py": b"a" * 100})
_SIX = ("six", "1.16", {"six.py": b"b" * 2000})
_RECORD = b"six.py,sha256=x,2000\n../../../bin/six,,\n"
_DPKG = {
    "var/lib/dpkg/status": b"Package: libc6\nStatus: install ok installed\nVersion: 2.36\n\n"
    b"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: below\nVersion: 3\n",
    "var/lib/dpkg/info/libc6:arm64.list": b"/.\n/lib\n/lib/libc.so.6\n/etc/none\n",
    "usr/lib/libc.so.6": b"c" * 300,
    "usr/bin/unowned": b"u" * 7,
}


def _packages(image: ExplainedImage, layer: int = 0) -> list[tuple[str, str, str, int]]:
    return [(p.kind, p.name, p.version, p.plain_size) for p in image.layers[layer].packages]


def test_a_wheels_layer_is_all_its_own(tmp_path):
    made = sample(tmp_path / "image", wheel(*_SIX))
    for known in (made.known, {}):
        image = explain_image(made.reader, "image", known)
        (package,) = image.layers[0].packages
        assert (package.kind, package.name, package.version) == ("wheel", "six", "1.16")
        assert package.files == image.layers[0].files
        assert package.size == image.layers[0].size


def test_wheels_that_share_a_layer_are_told_apart(tmp_path):
    made = sample(tmp_path / "image", wheels(_ATTRS, _SIX))
    told = explain_image(made.reader, "image", made.known)
    found = explain_image(made.reader, "image")
    assert _packages(told) == _packages(found)
    assert [name for _, name, _, _ in _packages(told)] == ["attrs", "six"]
    for image in (told, found):
        attrs, six = image.layers[0].packages
        assert f"{SITE}/attr/__init__.py" in {file.path for file in attrs.files}
        assert f"{SITE}/six.py" in {file.path for file in six.files}
        assert attrs.size and six.size
        assert attrs.size + six.size <= image.layers[0].size


def test_debian_packages_of_status_d(tmp_path):
    base = {
        "var/lib/dpkg/status.d/libc6": b"Package: libc6\nVersion: 2.36-9\n",
        "var/lib/dpkg/status.d/libc6.md5sums": b"0" * 32 + b"  lib/libc.so.6\n",
        "usr/lib/libc.so.6": b"c" * 300,
        "etc/passwd": b"root",
    }
    made = sample(tmp_path / "image", files("base", "debian", "12", base))
    image = explain_image(made.reader, "image")
    assert [row[:3] for row in _packages(image)] == [("deb", "libc6", "2.36-9")]
    assert "usr/lib/libc.so.6" in {file.path for file in image.layers[0].packages[0].files}
    assert "etc/passwd" not in {file.path for file in image.layers[0].packages[0].files}


def test_an_image_of_another_builder(tmp_path):
    pip = {
        "usr/local/lib/python3.11/site-packages/six.py": b"b" * 2000,
        "usr/local/lib/python3.11/site-packages/six-1.16.0.dist-info/RECORD": _RECORD,
        "usr/local/bin/six": b"#!",
        "root/.cache/other": b"?",
    }
    layout = foreign(
        tmp_path / "image", _DPKG, pip, history=("/bin/sh -c #(nop) ADD file:1 in / ", "RUN pip install six")
    )
    image = explain_image(LayoutReader(layout), "image")
    assert _packages(image) == [("deb", "libc6", "2.36", 300)]
    assert _packages(image, 1) == [("wheel", "six", "1.16.0", 2000 + 2 + len(_RECORD))]
    assert [str(layer.origin) for layer in image.layers] == ["layer ADD file:1 in /", "layer RUN pip install six"]
    assert {layer.source for layer in image.layers} == {"archive"}
    assert image.packages() == {("deb", "libc6"): "2.36", ("wheel", "six"): "1.16.0"}


def test_records_that_are_no_text_or_no_csv_own_nothing_else(tmp_path: Path):
    info = "site-packages/x-1.dist-info"
    contents = {f"{info}/RECORD": b'\xff\0"\n"unclosed', f"{info}/METADATA": b"", "site-packages/y.py": b"1"}
    layout = foreign(tmp_path / "image", contents, history=("x",))
    (package,) = explain_image(LayoutReader(layout), "image").layers[0].packages
    assert {file.path for file in package.files} == {f"{info}/RECORD", f"{info}/METADATA"}

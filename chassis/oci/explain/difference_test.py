"""What changed between two images, and what that costs to fetch."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.oci.explain.difference import Difference, compare, installed
from chassis.oci.explain.image import explain_image
from chassis.oci.explain.sample_layouts import SITE, Fill, files, foreign, sample, wheel, wheels
from chassis.oci.layout_reader import LayoutReader

_BASE = files("base", "debian", "12", {"etc/os-release": b"12\n" * 500})
_MODEL = files("model", "//model:digits", "1", {"app/model/model.pkl": b"m" * 50})


def _numpy(version: str, **changes: bytes) -> Fill:
    contents = {"numpy/core.so": b"c" * 9000, "numpy/__init__.py": version.encode()}
    return wheel("numpy", version, contents | {f"numpy/{name}.py": data for name, data in changes.items()})


def _compare(directory: Path, before: tuple[Fill, ...], after: tuple[Fill, ...]) -> Difference:
    old, new = sample(directory / "old", *before), sample(directory / "new", *after)
    # The old image's layers are known by what its blobs say alone.
    return compare(explain_image(old.reader, "old"), explain_image(new.reader, "new", new.known))


def test_the_same_image_costs_nothing(tmp_path):
    difference = _compare(tmp_path, (_BASE, _MODEL), (_BASE, _MODEL))
    assert (difference.fetch_size, difference.chained_size) == (0, 0)
    assert not difference.fetched and not difference.gone and not difference.packages and not difference.files
    assert difference.complete


def test_a_new_version_costs_its_layer(tmp_path):
    difference = _compare(
        tmp_path, (_BASE, _numpy("1.26", old=b"1"), _MODEL), (_BASE, _numpy("2.0", new=b"22"), _MODEL)
    )
    (fetched,) = difference.fetched
    (gone,) = difference.gone
    assert (str(fetched.origin), str(gone.origin)) == ("wheel numpy 2.0", "wheel numpy 1.26")
    assert difference.fetch_size == fetched.size + difference.after.documents_size
    assert difference.chained_size == difference.fetch_size + difference.after.layers[2].size
    assert [(c.kind, c.name, c.before, c.after) for c in difference.packages] == [("wheel", "numpy", "1.26", "2.0")]
    changed = {change.path.removeprefix(f"{SITE}/"): change.growth for change in difference.files}
    assert changed == {
        "numpy/__init__.py": -1,
        "numpy/old.py": -1,
        "numpy/new.py": 2,
        "numpy-1.26.dist-info/RECORD": -80,
        "numpy-2.0.dist-info/RECORD": 79,
    }


def test_packages_come_and_go(tmp_path):
    attrs, six = ("attrs", "23.1", {"attr.py": b"a"}), ("six", "1.16", {"six.py": b"b"})
    difference = _compare(tmp_path, (_BASE, wheels(attrs, six)), (_BASE, _numpy("2.0"), wheel(*six)))
    assert [(change.name, change.before, change.after) for change in difference.packages] == [
        ("attrs", "23.1", None),
        ("numpy", None, "2.0"),
    ]
    assert not [change for change in difference.files if "six" in change.path]


def test_an_order_alone_costs_a_store_that_chains_layers(tmp_path):
    difference = _compare(tmp_path, (_BASE, _numpy("2.0"), _MODEL), (_BASE, _MODEL, _numpy("2.0")))
    assert not difference.fetched
    assert difference.fetch_size == difference.after.documents_size
    assert difference.chained_size > 200
    assert not difference.files


def test_modes_and_links_count_and_directories_do_not(tmp_path):
    def fill(mode: int, target: str) -> Fill:
        def add(writer):
            writer.add_directory("etc/empty" if mode == 0o644 else "etc/other")
            writer.add_bytes("etc/a", b"1", mode)
            writer.add_symlink("etc/link", target)
            return files("base", "b", "", {})(writer)

        return add

    difference = _compare(tmp_path, (fill(0o644, "a"),), (fill(0o755, "b"),))
    assert [change.path for change in difference.files] == ["etc/a", "etc/link"]


def test_whiteouts_hide_what_lies_below(tmp_path):
    layout = foreign(
        tmp_path / "image",
        {"etc/a": b"1", "etc/b/c": b"1", "opt/x/y": b"1", "opt/x/z": b"1", "usr/keep": b"1"},
        {"etc/.wh.a": b"", "etc/.wh.b": b"", "opt/x/.wh..wh..opq": b"", "opt/x/new": b"1"},
        history=("one", "two"),
    )
    image = explain_image(LayoutReader(layout), "image")
    assert sorted(installed(image)) == ["opt/x/new", "usr/keep"]


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_a_layer_whose_files_are_not_known_is_told(tmp_path, known):
    old, new = sample(tmp_path / "old", _BASE), sample(tmp_path / "new", _BASE, _MODEL)
    for number in (0, 1):
        (tmp_path / f"new/{number}/blob").unlink()
    after = explain_image(new.reader, "new", new.known if known else {})
    difference = compare(explain_image(old.reader, "old"), after)
    assert difference.complete == known
    assert len(difference.fetched) == 1

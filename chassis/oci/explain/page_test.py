"""The page's text: whole, self-contained, safe whatever names an image holds. What it does is tested in a browser."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

from chassis.oci.explain.difference import compare
from chassis.oci.explain.image import ExplainedImage, explain_image
from chassis.oci.explain.page import image_page
from chassis.oci.explain.sample_layouts import SITE, files, sample, wheel, wheels
from chassis.oci.explain.tree import image_tree

_HOSTILE = """</script><b a="1" b='2'>&{{style}}"""


def _image(directory: Path, *more: tuple[str, bytes]) -> ExplainedImage:
    contents = {f"numpy/{n}.py": b"n" * 300 * n for n in range(40)}
    contents |= {f"numpy/tiny{n}.py": b"tiny" for n in range(30)} | {"numpy.libs/blas.so": bytes(40_000)} | dict(more)
    made = sample(
        directory,
        files("base", "debian", "12", {"usr/lib/big.so": bytes(50_000), "etc/os-release": b"12"}),
        wheel("numpy", "2.0", contents),
        wheels(("attrs", "23.1", {"attr.py": b"a" * 900}), ("six", "1.16", {"six.py": b"b" * 2000})),
    )
    return explain_image(made.reader, "//demo:image", made.known)


class _Elements(HTMLParser):
    """What elements there are, and the addresses in their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes a start tag."""
        self.names.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]


def _elements(page: str) -> _Elements:
    elements = _Elements()
    elements.feed(page)
    return elements


def _tree(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="tree">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_page_is_whole_and_needs_nothing(tmp_path):
    image = _image(tmp_path / "image")
    page = image_page(image)
    elements = _elements(page)
    assert "{{" not in page
    assert elements.addresses == []
    assert "link" not in elements.names
    assert elements.names.count("script") == 2
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert _tree(page) == image_tree(image)


def test_the_tables_name_every_layer_and_package(tmp_path):
    page = image_page(_image(tmp_path / "image"))
    for text in ("base debian 12", "wheel numpy 2.0", "2 wheels", "attrs 23.1, six 1.16", ">attrs<", ">six<"):
        assert text in page
    assert page.count("<tr data-layer=") == 3 + 3


def test_names_are_text(tmp_path):
    image = _image(tmp_path / "image", (f"{_HOSTILE}.py".replace("/", "|"), b"1" * 9999))
    plain = _image(tmp_path / "plain", ("some.py", b"1" * 9999))
    hostile = dataclasses.replace(image, name=_HOSTILE)
    page = image_page(hostile, compare(image, hostile))
    assert _elements(page).names == _elements(image_page(plain, compare(plain, plain))).names
    assert _tree(page)["name"] == _HOSTILE


def test_names_that_are_no_text_do_not_matter(tmp_path):
    image = _image(tmp_path / "image")
    layer = image.layers[1]
    odd = tuple(dataclasses.replace(file, path=file.path + "\udcff") for file in layer.files)
    odd_layer = dataclasses.replace(layer, files=odd, packages=(dataclasses.replace(layer.packages[0], files=odd),))
    other = dataclasses.replace(image, digest="sha256:" + "1" * 64, layers=(image.layers[0], odd_layer))
    page = image_page(other, compare(image, other))
    assert "numpy/1.py" in page.encode("utf-8", "replace").decode()


def test_a_difference_marks_what_is_to_fetch(tmp_path):
    before, after = _image(tmp_path / "old"), _image(tmp_path / "new", ("numpy/more.py", b"1"))
    page = image_page(after, compare(before, after))
    assert page.count('<span class="new">to fetch</span>') == 1
    assert [layer["fetched"] for layer in _tree(page)["children"]] == [False, True, False]
    assert "1 layer of 3" in page


def test_the_tree_adds_up_and_small_files_are_one(tmp_path):
    image = _image(tmp_path / "image")
    tree = image_tree(image)
    assert sum(layer["size"] for layer in tree["children"]) == tree["size"] == image.size
    base, numpy, shared = tree["children"]
    assert numpy["below"] == SITE
    assert [child["name"] for child in numpy["children"]][:2] == ["numpy", "numpy.libs"]
    assert [child["kind"] for child in shared["children"]] == ["package", "package"]
    assert base["below"] == "usr/lib"
    assert [child["name"] for child in base["children"]] == ["big.so", "/etc"]
    for layer, node in zip(image.layers, tree["children"], strict=True):
        assert _sum(node, "files") == layer.file_count
        assert _sum(node, "plain") == sum(file.size for file in layer.files)
    directory = numpy["children"][0]
    assert directory["children"][-1]["kind"] == "rest"
    assert "small files" in directory["children"][-1]["name"]


def _sum(node: dict, what: str) -> int:
    children = node.get("children", [])
    return sum(_sum(child, what) for child in children) if children else node[what]


def test_the_tree_of_a_huge_layer_stays_small(tmp_path):
    contents = {f"torch/d{n % 100}/f{n}.py": b"x" * (n % 37 + 1) for n in range(20_000)}
    made = sample(tmp_path / "image", wheel("torch", "2", contents | {"torch/lib.so": bytes(5_000_000)}))
    image = explain_image(made.reader, "image", made.known)
    assert len(json.dumps(image_tree(image))) < 40_000


def test_paths_without_end_do_not_exhaust_the_stack(tmp_path):
    made = sample(tmp_path / "image", files("code", "deep", "", {"d/" * 1900 + "f": b"1" * 5000}))
    assert _sum(image_tree(explain_image(made.reader, "image", made.known)), "files") == 1

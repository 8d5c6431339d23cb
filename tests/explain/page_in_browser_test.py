"""The page of an explained image in a real browser: what is drawn, and how a reader moves in it."""

from __future__ import annotations

import dataclasses
import os
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.oci.explain.difference import compare
from chassis.oci.explain.image import ExplainedImage, explain_image
from chassis.oci.explain.page import image_page
from chassis.oci.layout_reader import LayoutReader
from tests.support.browser.browser import BrowserFiles, Page, browser_page

_ACTIVE = "document.activeElement.getAttribute('aria-label')"
_TRAIL = "[...document.querySelectorAll('#trail > :not(.step)')].map((step) => step.textContent)"
_HOSTILE = '</script><img src=x onerror="document.title=1">{{script}}'


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page in the browser."""
    with browser_page(BrowserFiles.of_environment()) as page:
        page.resize(1400, 1000)
        yield page


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The default image's page."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    subprocess.run([os.environ["EXPLAIN"], f"--html={path}"], check=True, timeout=120)
    return path.read_text("utf-8")


def _image(name: str) -> ExplainedImage:
    return explain_image(LayoutReader(Path(os.environ[name])), name)


def _colours(png: bytes) -> set[bytes]:
    """The colours of a PNG of 8 bits a channel (PNG specification, 9 and 11.2), without undoing its filters."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    position, data = 8, b""
    while position < len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        data += png[position + 8 : position + 8 + length] if kind == b"IDAT" else b""
        position += 12 + length
    plain = zlib.decompress(data)
    return {plain[start : start + 4] for start in range(0, len(plain), 997)}


def _keep(name: str, png: bytes) -> None:
    if outputs := os.environ.get("TEST_UNDECLARED_OUTPUTS_DIR"):
        (Path(outputs) / f"{name}.png").write_bytes(png)


def _centre(page: Page, label: str) -> tuple[float, float]:
    """Where the heading of the cell is whose label starts so."""
    return page.evaluate(
        f"(() => {{ const rect = document.querySelector('#map g[aria-label^=\"{label}\"] > rect');"
        " const box = rect.getBoundingClientRect(); return [box.x + box.width / 2, box.y + 9]; })()"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_map_is_drawn(page, html, scheme):
    page.prefer(scheme)
    page.open_text(html)
    assert page.evaluate("document.documentElement.dataset.ready") == "yes"
    assert page.evaluate("document.querySelectorAll('#map > g').length") >= 4
    assert page.evaluate("document.querySelectorAll('#map g g').length") > 100
    assert page.evaluate("document.querySelectorAll('#layers tbody tr').length") == 13
    picture = page.screenshot()
    _keep(f"map-{scheme}", picture)
    assert len(_colours(picture)) > 100
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) < 384) == (scheme == "dark")


def test_nothing_is_loaded_and_nothing_fails(page, html):
    page.open_text(html)
    requested = [event["request"]["url"] for event in page.events("Network.requestWillBeSent")]
    assert {address for address in requested if address != "about:blank"} == {"file:///work/page.html"}
    assert page.events("Runtime.exceptionThrown") == []
    assert page.events("Log.entryAdded") == []


def test_areas_are_in_proportion(page, html):
    page.open_text(html)
    areas = page.evaluate(
        "[...document.querySelectorAll('#map > g > rect')]"
        ".map((rect) => rect.width.baseVal.value * rect.height.baseVal.value)"
    )
    sizes = page.evaluate(
        "JSON.parse(document.getElementById('tree').textContent).children.map((layer) => layer.size)"
        ".sort((a, b) => b - a)"
    )
    for area, size in zip(sorted(areas, reverse=True)[:3], sizes[:3], strict=True):
        assert area / sum(areas) == pytest.approx(size / sum(sizes), rel=0.02)


def test_areas_do_not_overlap(page, html):
    page.open_text(html)
    boxes = page.evaluate(
        "[...document.querySelectorAll('#map > g > rect')].map((rect) => ['x', 'y', 'width', 'height']"
        ".map((name) => rect[name].baseVal.value))"
    )
    for index, (x, y, w, h) in enumerate(boxes):
        for other_x, other_y, other_w, other_h in boxes[:index]:
            across = min(x + w, other_x + other_w) - max(x, other_x)
            down = min(y + h, other_y + other_h) - max(y, other_y)
            assert across < 0.1 or down < 0.1


def test_the_keyboard_reaches_everything(page, html):
    page.open_text(html)
    page.evaluate("document.querySelector('#map [tabindex=\"0\"]').focus()")
    assert page.evaluate(_ACTIVE).startswith("Layer 1, base debian")
    page.press("ArrowDown")
    assert page.evaluate(_ACTIVE).startswith("Layer 10, numpy")
    assert page.evaluate("document.querySelector('#details h3').textContent").startswith("numpy")
    page.press("ArrowRight")
    assert page.evaluate(_ACTIVE).startswith("Directory numpy")
    page.press("ArrowLeft")
    page.press("Enter")
    assert [step.split()[0] for step in page.evaluate(_TRAIL)] == ["//model:image", "numpy"]
    assert page.evaluate(_ACTIVE).startswith("Directory numpy")
    page.press("Escape")
    assert page.evaluate(_TRAIL) == ["//model:image"]
    assert page.evaluate(_ACTIVE).startswith("Layer 10, numpy")
    page.press("End")
    page.press("ArrowDown")
    page.press("Home")
    assert page.evaluate(_ACTIVE).startswith("Layer 1, base")


def test_the_map_has_one_stop_for_the_tab_key(page, html):
    page.open_text(html)
    page.evaluate("document.querySelector('[name=measure]').focus()")
    page.press("Tab")
    assert page.evaluate(_ACTIVE).startswith("Layer 1, base")
    page.press("Tab")
    assert page.evaluate("document.activeElement.closest('#map')") is None


def test_the_pointer_shows_and_zooms(page, html):
    page.open_text(html)
    page.move(*_centre(page, "Layer 3, grpcio"))
    assert "grpcio" in page.evaluate("document.getElementById('tip').textContent")
    assert page.evaluate("document.getElementById('tip').hidden") is False
    assert page.evaluate("document.querySelector('#details .why').textContent").startswith("one wheel, one layer")
    page.click(*_centre(page, "Layer 3, grpcio"))
    assert page.evaluate(_TRAIL)[1].startswith("grpcio")
    page.evaluate("document.querySelector('#trail button').click()")
    assert page.evaluate(_TRAIL) == ["//model:image"]


def test_search_counts_and_marks(page, html):
    page.open_text(html)
    page.evaluate("document.getElementById('search').focus()")
    page.type("openblas")
    assert page.evaluate("document.getElementById('found').textContent").startswith("1 found, 7.")
    assert page.evaluate("document.querySelectorAll('#map .match').length") == 1
    page.evaluate("document.getElementById('search').select()")
    page.type("no such thing")
    assert page.evaluate("document.getElementById('found').textContent") == "none found"


def test_the_measure_changes_the_areas(page, html):
    page.open_text(html)
    width = "document.querySelector('#map g[aria-label^=\"Layer 10, numpy\"] > rect').getAttribute('width')"
    before = page.evaluate(width)
    page.evaluate("document.querySelector('[name=measure][value=plain]').click()")
    assert page.evaluate(width) != before


def test_tables_sort(page, html):
    page.open_text(html)
    first = "document.querySelector('#layers tbody tr').dataset.layer"
    head = "[...document.querySelectorAll('#layers thead button')].find((b) => b.textContent === 'To pull')"
    page.evaluate(f"{head}.click()")
    assert page.evaluate(first) == "1"
    page.evaluate(f"{head}.click()")
    assert page.evaluate(first) in ("11", "12", "13")


def test_a_narrow_window_does_not_scroll_sideways(page, html):
    try:
        page.resize(400, 800)
        page.open_text(html)
        _keep("narrow", page.screenshot())
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
    finally:
        page.resize(1400, 1000)


def test_many_layers_and_a_difference(page):
    few, many = _image("FEW"), _image("MANY")
    page.open_text(image_page(many, compare(few, many)))
    _keep("difference", page.screenshot())
    assert page.evaluate("document.querySelectorAll('#layers tbody tr').length") == len(many.layers)
    assert page.evaluate("document.querySelectorAll('#map .fetched').length") > 10
    assert page.evaluate("document.querySelectorAll('#changed-packages tbody tr').length") == len(many.packages()) - 30
    assert "to fetch" in page.evaluate("document.querySelector('.tiles').textContent")


def test_names_are_text_whatever_they_hold(page):
    few = _image("FEW")
    layer = few.layers[0]
    files = tuple(dataclasses.replace(file, path=file.path + _HOSTILE) for file in layer.files)
    package = dataclasses.replace(layer.packages[0], name=_HOSTILE, files=files)
    layer = dataclasses.replace(
        layer, files=files, packages=(package,), origin=dataclasses.replace(layer.origin, name=_HOSTILE)
    )
    hostile = dataclasses.replace(few, name=_HOSTILE, layers=(layer, *few.layers[1:]))
    page.open_text(image_page(hostile, compare(few, hostile)))
    assert page.evaluate("document.documentElement.dataset.ready") == "yes"
    assert page.evaluate("document.title") == _HOSTILE
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert page.events("Runtime.exceptionThrown") == []


def test_without_scripts_the_tables_are_there(page, html):
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open_text(html)
        text = page.evaluate("document.body.innerText")
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "The map needs scripts" in text
    assert "numpy" in text

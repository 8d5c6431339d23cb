"""The explanation of the default image, as its reader calls for it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from chassis.declaration.pythons import DEFAULT_PYTHON, IMAGE_PYTHONS


def _explain(*arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [os.environ["EXPLAIN"], *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": os.environ["PATH"], **environment},
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def _manifest(layout: Path) -> dict:
    digest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    return json.loads((layout / "blobs/sha256" / digest.removeprefix("sha256:")).read_text())


@pytest.fixture(scope="module")
def document() -> dict:
    """What `--json` says."""
    return json.loads(_explain("--json").stdout)


def test_every_layer_is_there_with_its_size_and_origin(document):
    manifest = _manifest(Path(os.environ["IMAGE"]))
    found = [(layer["digest"], layer["size"]) for layer in document["layers"]]
    assert found == [(layer["digest"], layer["size"]) for layer in manifest["layers"]]
    assert document["size"] == sum(layer["size"] for layer in manifest["layers"])
    kinds = [layer["origin"]["kind"] for layer in document["layers"]]
    assert kinds[:2] == ["base", "runtime"]
    assert kinds[-2:] == ["data", "model"]
    assert set(kinds[2:-2]) == {"wheel"}
    assert abs(sum(layer["share"] for layer in document["layers"]) - 1) < 1e-4


def test_no_blob_is_opened(document):
    assert {layer["known_from"] for layer in document["layers"]} == {"list"}
    assert all(layer["files"] and layer["plain_size"] for layer in document["layers"])


def test_bigger_wheels_lie_lower(document):
    # Those of the server, which are the same in every image, then the model's.
    names = [layer["origin"]["name"] for layer in document["layers"] if layer["origin"]["kind"] == "wheel"]
    assert names.index("numpy") < names.index("cloudpickle")
    assert names.index("grpcio") < names.index("numpy")


def test_packages_of_wheels_and_of_debian_are_named(document):
    packages = {p["name"]: p for layer in document["layers"] for p in layer["packages"]}
    assert packages["numpy"]["kind"] == "wheel"
    assert packages["libc6"]["kind"] == "deb"
    assert packages["libc6"]["version"].startswith(IMAGE_PYTHONS[DEFAULT_PYTHON].glibc)
    assert packages["libc6"]["size"] > 1_000_000


def test_the_text_says_it_all():
    text = _explain("--largest=3").stdout
    assert "//model:image" in text.splitlines()[0]
    for expected in ("to pull", "base debian", "wheel numpy", "model //model:digits", "on top:", "Largest files:"):
        assert expected in text


def test_the_difference_from_itself_is_nothing():
    text = _explain("--diff", os.environ["IMAGE"]).stdout
    assert "The images are the same." in text


def test_the_difference_from_another_platform(document):
    difference = json.loads(_explain("--json", "--diff", os.environ["OTHER_IMAGE"]).stdout)["difference"]
    layers = difference["layers"]
    assert any("wheel cloudpickle" in layer["origin"] for layer in layers["shared"])
    assert any("wheel numpy" in layer["origin"] for layer in layers["fetched"])
    assert difference["complete"]
    sizes = {layer["digest"]: layer["size"] for layer in document["layers"]}
    fetched = sum(sizes[layer["digest"]] for layer in layers["fetched"])
    assert fetched < difference["fetch_size"] < fetched + 20_000
    assert difference["chained_fetch_size"] > document["size"]
    assert not [change for change in difference["packages"] if change["name"] == "numpy"]
    changed = {change["path"] for change in difference["files"]}
    assert f"usr/bin/python{DEFAULT_PYTHON}" in changed
    assert "usr/bin/python3" not in changed


def test_a_layout_that_is_none_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    done = _explain("--diff=empty", check=False, BUILD_WORKING_DIRECTORY=str(tmp_path))
    assert "is not an OCI image layout" in done.stderr
    done = _explain("--diff=nothing", check=False, BUILD_WORKING_DIRECTORY=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert f"{tmp_path}/nothing does not exist, and it is not an image of a registry" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_is_written_where_the_caller_is(tmp_path):
    _explain("--html=page.html", BUILD_WORKING_DIRECTORY=str(tmp_path))
    page = (tmp_path / "page.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>\n")


def test_a_page_that_cannot_be_written_is_an_error(tmp_path):
    done = _explain("--html=missing/page.html", check=False, BUILD_WORKING_DIRECTORY=str(tmp_path))
    assert done.returncode == 1
    assert "missing/page.html: cannot be written" in done.stderr
    assert list(tmp_path.iterdir()) == []

"""Layers of real wheels against pip, gzip, GNU tar and the reference eStargz reader."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chassis.declaration.pythons import TOOLS_PYTHON
from tests.interop.wheels.wheel_layer import SITE, TABLE, TOC_DIGEST, VENV, WheelLayer, make_layer, paths_below, wheels

_LIMIT_S = 900
_PIP_TAGS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64", "manylinux_2_17_aarch64")
# pip's own notes on an installation, and those that name the installer.
_OF_THE_INSTALLER = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json")


@pytest.fixture(scope="module", params=sorted(wheels()))
def layer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> WheelLayer:
    return make_layer(wheels()[request.param], tmp_path_factory.mktemp(request.param) / "layer")


@pytest.fixture(scope="module")
def root(layer: WheelLayer) -> Path:
    """The layer as GNU tar unpacks it."""
    root = layer.blob.with_name("root")
    root.mkdir()
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    command = ["tar", "--extract", "--gzip", "--preserve-permissions", f"--file={layer.blob}", f"--directory={root}"]
    subprocess.run(command, check=True, env=environment, timeout=_LIMIT_S)
    return root


def test_gzip_accepts_the_blob_and_its_content_has_the_diff_id(layer: WheelLayer) -> None:
    state, size = hashlib.sha256(), 0
    with layer.blob.open("rb") as blob, subprocess.Popen(["gzip", "-dc"], stdin=blob, stdout=subprocess.PIPE) as gunzip:
        assert gunzip.stdout is not None
        while piece := gunzip.stdout.read(1 << 20):
            state.update(piece)
            size += len(piece)
    assert gunzip.returncode == 0
    assert layer.descriptor["diff_id"] == f"sha256:{state.hexdigest()}"
    assert layer.descriptor["uncompressed_size"] == size
    with layer.blob.open("rb") as blob:
        assert layer.descriptor["digest"] == f"sha256:{hashlib.file_digest(blob, 'sha256').hexdigest()}"


def test_gnu_tar_finds_the_listed_files(layer: WheelLayer, root: Path) -> None:
    found = {}
    for path, place in paths_below(root):
        content = place.read_bytes()
        found[path] = (
            f"sha256:{hashlib.sha256(content).hexdigest()}",
            len(content),
            stat.S_IMODE(place.stat().st_mode),
        )
    del found[TABLE]
    listed = layer.files.values()
    assert found == {f["path"]: (f["digest"], f.get("size", 0), f["mode"]) for f in listed if f["type"] == "file"}
    assert {f["type"] for f in listed} == {"file", "dir"}


def test_pip_leaves_the_same_files(layer: WheelLayer, root: Path, tmp_path: Path) -> None:
    """But for the launchers, whose text is each installer's own, and the installer's notes (docs/layers.md)."""
    target = tmp_path / "target"
    _pip_install(layer.wheel, target)
    # `--target` is pip's home scheme: site-packages at the top, scripts and data beside.
    places = {f"{SITE}/": "", f"{VENV}/": ""}
    ours = {}
    for path, place in paths_below(root):
        prefix = next((prefix for prefix in places if path.startswith(prefix)), None)
        if prefix is not None:
            ours[path.removeprefix(prefix)] = place
    theirs = dict(paths_below(target))
    notes = {p for p in ours.keys() | theirs.keys() if p.rpartition("/")[2] in _OF_THE_INSTALLER and "dist-info" in p}
    launchers = {path for path in ours if path.startswith("bin/")}
    assert ours.keys() - notes == theirs.keys() - notes
    assert launchers == {path for path in theirs if path.startswith("bin/")}
    for path in ours.keys() - notes - launchers:
        assert ours[path].read_bytes() == theirs[path].read_bytes(), path
    for path in ours.keys() - notes:
        assert ours[path].stat().st_mode & 0o111 == theirs[path].stat().st_mode & 0o111, path
    for path in launchers:
        assert ours[path].read_bytes().startswith(f"#!/{VENV}/bin/python\n".encode()), path


def test_the_reference_reader_verifies_the_table_and_every_file(layer: WheelLayer) -> None:
    digest = layer.descriptor["annotations"][TOC_DIGEST]
    command = [os.environ["ESTARGZ_READER"], str(layer.blob), digest]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    types = {"reg": "file"}
    found = {
        file["path"]: (types.get(file["type"], file["type"]), file["mode"], file["size"], file["digest"])
        for file in json.loads(done.stdout)
    }
    empty = f"sha256:{hashlib.sha256().hexdigest()}"
    assert found == {
        path: (f["type"], f["mode"], f.get("size", 0), "" if f["digest"] == empty else f["digest"])
        for path, f in layer.files.items()
    }
    wrong = f"sha256:{hashlib.sha256(b'another table').hexdigest()}"
    refused = subprocess.run([*command[:2], wrong], capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    assert refused.returncode == 1
    assert "invalid TOC JSON" in refused.stderr


def test_another_machine_makes_the_same_bytes(layer: WheelLayer, tmp_path: Path) -> None:
    """One processor or all, any umask, time zone and locale."""
    other = make_layer(
        layer.wheel,
        tmp_path / "other",
        cpus=1,
        umask=0o777 & ~0o700,
        LC_ALL="tr_TR.ISO-8859-9",
        TZ="Pacific/Kiritimati",
    )
    for name in ("blob", "descriptor", "files"):
        assert _digest(other.blob.with_name(name)) == _digest(layer.blob.with_name(name)), name
        assert stat.S_IMODE(other.blob.with_name(name).stat().st_mode) == 0o644


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _pip_install(wheel: Path, target: Path) -> None:
    tags = [f"--platform={tag}" for tag in _PIP_TAGS]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    command += ["--only-binary=:all:", f"--python-version={TOOLS_PYTHON}", *tags, f"--target={target}", str(wheel)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ["PIP"], "HOME": str(target.parent)}
    environment |= {name: value for name, value in os.environ.items() if name == "PYTHONHOME"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr

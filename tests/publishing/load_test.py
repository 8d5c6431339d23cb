"""Archives that engines load, with skopeo's second opinion on them; and how engines are found.

No engine can run in a test's sandbox: here a program of the engine's name keeps what it is given, and skopeo, which
shares podman's reader of archives, says what is in it.
"""

from __future__ import annotations

import hashlib
import json
import stat
import tarfile
from pathlib import Path

import pytest

from chassis.oci.archive import write_archive
from chassis.oci.layout_reader import LayoutError, LayoutReader
from tests.publishing.push_tool import run_tool
from tests.publishing.registry_server import skopeo
from tests.publishing.sample_images import sample_image

NAME = "localhost/digits:dev"
SIZES = (300_000, 20_000, 10)


def engine(folder: Path, name: str, script: str) -> str:
    """Puts a program for an engine into a directory of its own; returns a PATH with it."""
    program = folder / "bin" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{program.parent}:/usr/bin:/bin"


def test_skopeo_reads_the_archive_as_oci_and_as_docker(tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES)
    done = run_tool("load", f"--image={layout}", f"--name={NAME}", f"--output={tmp_path}/image.tar")
    assert (done.returncode, done.stdout) == (0, NAME + "\n"), done.stderr
    skopeo(tmp_path, "copy", f"oci-archive:{tmp_path}/image.tar", f"dir:{tmp_path}/oci")
    assert "sha256:" + hashlib.sha256((tmp_path / "oci/manifest.json").read_bytes()).hexdigest() == digest
    named = f"docker-archive:{tmp_path}/image.tar:{NAME}"
    skopeo(tmp_path, "copy", named, f"dir:{tmp_path}/docker")  # layers' content against the diff_ids
    copied = json.loads((tmp_path / "docker/manifest.json").read_text())
    assert copied["config"]["digest"] == json.loads((tmp_path / "oci/manifest.json").read_text())["config"]["digest"]
    assert len(copied["layers"]) == len(SIZES)


def test_the_archive_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    written = []
    for number in range(2):
        layout, _ = sample_image(tmp_path / f"image{number}", *SIZES, seed=1)
        for blob in (layout / "blobs/sha256").iterdir():
            blob.chmod(0o600 + 0o44 * number)
        with (tmp_path / f"{number}.tar").open("wb") as stream:
            write_archive(LayoutReader(layout), NAME, stream)
        written.append((tmp_path / f"{number}.tar").read_bytes())
    assert written[0] == written[1]
    with tarfile.open(tmp_path / "0.tar") as archive:
        members = archive.getmembers()
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {(0, 0, 0, "")}
    assert [member.name for member in members][:3] == ["oci-layout", "index.json", "manifest.json"]


def test_the_first_engine_that_answers_gets_the_image(tmp_path: Path) -> None:
    layout, digest = sample_image(tmp_path / "image", *SIZES, seed=2)
    engine(tmp_path, "podman", "echo cannot connect >&2; exit 125")
    path = engine(tmp_path, "docker", f'case "$1" in load) cat >{tmp_path}/loaded.tar; echo Loaded image;; esac')
    done = run_tool("load", f"--image={layout}", f"--name={NAME}", PATH=path)
    assert (done.returncode, done.stdout) == (0, NAME + "\n"), done.stderr
    assert f"{NAME} ({digest}) loaded into docker" in done.stderr
    skopeo(tmp_path, "copy", f"oci-archive:{tmp_path}/loaded.tar", f"dir:{tmp_path}/oci")
    assert "sha256:" + hashlib.sha256((tmp_path / "oci/manifest.json").read_bytes()).hexdigest() == digest


def test_where_no_engine_answers_each_is_named_with_its_reason(tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", 10, seed=3)
    path = engine(tmp_path, "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1").partition(":")[0]
    done = run_tool("load", f"--image={layout}", f"--name={NAME}", PATH=f"{path}:/nonexistent")
    assert (done.returncode, done.stdout) == (1, "")
    for line in ("podman: is not on the PATH", "ctr: is not on the PATH", "--output image.tar"):
        assert line in done.stderr


@pytest.mark.parametrize("script", ["exit 3", "head -c 100 >/dev/null; echo no space left; exit 3"])
def test_an_engine_that_fails_is_told_with_its_words(tmp_path: Path, script: str) -> None:
    layout, _ = sample_image(tmp_path / "image", *SIZES, seed=4)
    path = engine(tmp_path, "podman", f'case "$1" in load) {script};; esac')
    done = run_tool("load", f"--image={layout}", f"--name={NAME}", "--engine=podman", PATH=path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: podman load: fails with status 3")
    assert ("no space left" in done.stderr) == ("space" in script)


def test_a_layer_that_changed_leaves_no_archive(tmp_path: Path) -> None:
    layout, _ = sample_image(tmp_path / "image", *SIZES, seed=5)
    blob = max((layout / "blobs/sha256").iterdir(), key=lambda blob: blob.stat().st_size)
    blob.write_bytes(b"x" * blob.stat().st_size)
    with pytest.raises(LayoutError, match="changed since the image was built"), (tmp_path / "x").open("wb") as stream:
        write_archive(LayoutReader(layout), NAME, stream)
    done = run_tool("load", f"--image={layout}", f"--name={NAME}", f"--output={tmp_path}/out/image.tar")
    assert "cannot be written" in done.stderr
    (tmp_path / "out").mkdir()
    done = run_tool("load", f"--image={layout}", f"--name={NAME}", f"--output={tmp_path}/out/image.tar")
    assert (done.returncode, done.stdout) == (1, "")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", ["digits", "localhost/UPPER", "localhost/x@sha256:" + "0" * 64])
def test_a_malformed_name_is_refused(tmp_path: Path, name: str) -> None:
    layout, _ = sample_image(tmp_path / "image", 10, seed=6)
    done = run_tool("load", f"--image={layout}", f"--name={name}", f"--output={tmp_path}/image.tar")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr

#!/usr/bin/env python3
"""An image whose wheels a remote cache has is built without moving a layer; eight images take the room of one.

    tests/remote_cache/no_layer_moves.py

Starts a cache on loopback and Bazel with output bases of its own, which takes some minutes, and removes both.

1. One image is built, and with it the cache is filled; then seven more of the same wheels, whose disk is measured.
2. In an empty output base, with `--remote_download_minimal` and without layouts, the seven others are built, whose
   documents nobody has made before. What the cache gave is compared with the digests and the sizes of their layers.
3. In an empty output base, the first is built with its layout. The cache has all of its layers, and the layout is links
   to them; with the option of docs/layers.md a second build has nothing to do.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_WORKSPACE = Path(__file__).resolve().parents[2]
_PACKAGE = "tests/remote_cache"
_FIRST, _OTHERS = "image_1", [f"image_{number}" for number in range(2, 9)]
_LIMIT_S = 1800
_MAX_BYTES_AN_IMAGE = 256 << 10
_LAYERS_COME = "--remote_download_regex=.*[.]layer$"


@dataclass(frozen=True, slots=True)
class Cache:
    """A cache that is running."""

    port: int
    log: Path

    def fetched(self) -> list[tuple[str, int]]:
        """What it gave so far: a content's SHA-256, or an action's key, and bytes."""
        answers = [line.split() for line in self.log.read_text().splitlines()]
        return [
            (path.rpartition("/")[2], int(size))
            for method, status, size, path in answers
            if (method, status) == ("GET", "200")
        ]


@contextmanager
def _cache(folder: Path) -> Iterator[Cache]:
    log = folder / "cache.log"
    program = [sys.executable, str(Path(__file__).with_name("http_cache.py")), str(folder / "cache"), str(log)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield Cache(int(server.stdout.readline()), log)
        assert server.stdin is not None
        server.stdin.close()  # It ends with its input.


@contextmanager
def _bazel(output_base: Path, cache: Cache) -> Iterator[Bazel]:
    bazel = Bazel(output_base, cache)
    try:
        yield bazel
    finally:
        bazel.run("shutdown")
        subprocess.run(["chmod", "-R", "u+w", str(output_base)], check=False)
        shutil.rmtree(output_base)


@dataclass(frozen=True, slots=True)
class Bazel:
    """Bazel with an output base of its own."""

    output_base: Path
    cache: Cache

    def run(self, command: str, *arguments: str) -> str:
        """What a command prints."""
        done = subprocess.run(
            [str(_WORKSPACE / "bazelw"), f"--output_base={self.output_base}", command, *arguments],
            cwd=_WORKSPACE,
            stdout=subprocess.PIPE,
            text=True,
            timeout=_LIMIT_S,
        )
        if done.returncode:
            sys.exit(f"bazel {command} ended with status {done.returncode}")
        return done.stdout

    def build(self, images: list[str], *flags: str) -> Path:
        """Builds images with the cache; the directory that has them."""
        every = ["--disk_cache=", f"--remote_cache=http://127.0.0.1:{self.cache.port}", *flags]
        self.run(
            "build", *every, "--experimental_convenience_symlinks=ignore", *(f"//{_PACKAGE}:{name}" for name in images)
        )
        return Path(self.run("info", *every, "bazel-bin").strip()) / _PACKAGE


def _executed(explanation: Path) -> list[str]:
    """The actions that a build with `--explain` executed, but for that of the workspace's status."""
    lines = [line for line in explanation.read_text().splitlines() if line.startswith("Executing action ")]
    return [line for line in lines if "BazelWorkspaceStatusAction" not in line]


def _layers(layout: Path) -> dict[str, int]:
    """The layers of an image, from its documents: hex digest to size."""
    blobs = layout / "blobs/sha256"
    digest = json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"]
    manifest = json.loads((blobs / digest.removeprefix("sha256:")).read_bytes())
    return {layer["digest"].removeprefix("sha256:"): layer["size"] for layer in manifest["layers"]}


def _disk_bytes(folder: Path) -> int:
    """What a directory takes on disk, links as links."""
    return sum(
        (Path(place, name).lstat().st_blocks * 512)
        for place, folders, files in os.walk(folder)
        for name in files + folders
    )


def _check(what: str, holds: bool) -> None:
    print(("ok: " if holds else "FAILED: ") + what, flush=True)
    if not holds:
        sys.exit(1)


def main() -> None:
    """Says what it found; ends with status 1 if that is not as it should be."""
    with tempfile.TemporaryDirectory(prefix="chassis-remote-cache.") as folder, _cache(Path(folder)) as cache:
        with _bazel(Path(folder, "first"), cache) as bazel:
            package = bazel.build([_FIRST])
            one = _disk_bytes(package)
            layers = _layers(package / _FIRST)
            cached = {path.name for path in (Path(folder) / "cache/cas").iterdir()}
            _check(f"the cache has {len(cached)} contents, all layers among them", layers.keys() <= cached)
            bazel.build(_OTHERS, "--noremote_upload_local_results")
            each = (_disk_bytes(package) - one) // len(_OTHERS)
            _check(
                f"{each} bytes of disk for each image more, {sum(layers.values())} of layers",
                each < _MAX_BYTES_AN_IMAGE,
            )
        before = len(cache.fetched())
        with _bazel(Path(folder, "second"), cache) as bazel:
            package = bazel.build(_OTHERS, "--remote_download_minimal", "--@chassis//rules:layouts=false")
            found = [_layers(package / f"{name}.documents") for name in _OTHERS]
        moved = cache.fetched()[before:]
        size = sum(size for _, size in moved)
        _check("the others have the same layers", found == [layers] * len(_OTHERS))
        _check(f"the cache gave {len(moved)} contents and actions of {size} bytes", bool(moved))
        _check("no layer is among them", not layers.keys() & {key for key, _ in moved})
        # What the build's own programs import is among them, however large the image is.
        _check("they are smaller than the layers", size < sum(layers.values()))
        with _bazel(Path(folder, "third"), cache) as bazel:
            package = bazel.build([_FIRST], _LAYERS_COME)
            layout = _disk_bytes(package / _FIRST)
            _check(f"the layout takes {layout} bytes though the cache has it all", layout < _MAX_BYTES_AN_IMAGE)
            bazel.build([_FIRST], _LAYERS_COME, f"--explain={folder}/explanation")
            executed = _executed(Path(folder, "explanation"))
            _check(f"a second build executes nothing: {executed}", not executed)


if __name__ == "__main__":
    main()

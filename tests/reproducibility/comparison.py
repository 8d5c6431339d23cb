"""What two builds are compared by: the image's digest, the repositories' trees, where actions' results came from."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Repositories that the rules of this project make, by their canonical names, with and without bzlmod.
_OWN = re.compile(r"(?:.*[~+](?:debian|wheels|oci)[~+].*|chassis_.*|pypi.*|sdists.*)")
# What Bazel alone reads, and no action has as its input: Bazel writes these, and their modes go by the umask.
_READ_BY_BAZEL = {
    *("BUILD.bazel", "REPO.bazel", "distributions.json", "hub.json"),
    *("hubs.bzl", "neighbours.bzl", "wheels.bzl"),
}
LEAK = "app/data/leak.txt"


@dataclass(frozen=True)
class Image:
    """An OCI layout's one image: its digest, and for people what may explain another one."""

    digest: str
    layers: tuple[str, ...]
    config: dict[str, Any]
    blobs: Path

    def evidence(self) -> dict[str, str]:
        """What `leaks.py` let in: the first word of each line to its rest; and the history."""
        found = {"history": "; ".join(step.get("created_by", "") for step in self.config["history"])}
        for digest in self.layers:
            with tarfile.open(self.blobs / digest.removeprefix("sha256:"), "r:gz") as layer:
                if LEAK in layer.getnames():
                    file = layer.extractfile(LEAK)
                    assert file is not None
                    lines = file.read().decode().splitlines()
                    found |= {name: value for name, _, value in (line.partition(" ") for line in lines)}
        return found

    def differences(self, other: Image) -> list[str]:
        """What is different of two images, as sentences."""
        found = []
        names = [step.get("created_by", "") for step in self.config["history"]]
        for number, name in enumerate(names):
            if self.layers[number : number + 1] != other.layers[number : number + 1]:
                found.append(f"layer {number + 1} ({name})")
        one, another = dict(_leaves("", self.config)), dict(_leaves("", other.config))
        for key in sorted(one.keys() | another.keys()):
            if not key.startswith("rootfs") and one.get(key) != another.get(key):
                found.append(f"{key}: {one.get(key)!r} and {another.get(key)!r}")
        return found


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Each path in a JSON document to what is there."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(f"{path}.{key}".lstrip("."), part)
    else:
        yield path, value


def read_image(layout: Path) -> Image:
    """Reads the image of an OCI layout directory."""
    blobs = layout / "blobs/sha256"
    index = json.loads((layout / "index.json").read_bytes())
    digest = index["manifests"][0]["digest"]
    manifest = json.loads((blobs / digest.removeprefix("sha256:")).read_bytes())
    config = json.loads((blobs / manifest["config"]["digest"].removeprefix("sha256:")).read_bytes())
    return Image(digest, tuple(layer["digest"] for layer in manifest["layers"]), config, blobs)


def repository_trees(external: Path) -> dict[str, dict[str, str]]:
    """Each repository of this project's rules: path in it to mode and content, or link, of all that is there."""
    return {
        folder.name: dict(_tree(folder))
        for folder in sorted(external.iterdir())
        if folder.is_dir() and not folder.is_symlink() and _OWN.fullmatch(folder.name)
    }


def _tree(folder: Path) -> Iterator[tuple[str, str]]:
    for where, folders, files in os.walk(folder):
        for name in sorted(folders + files):
            path = Path(where) / name
            status = path.lstat()
            kind = "" if name in _READ_BY_BAZEL else f"{stat.S_IMODE(status.st_mode):04o}"
            if path.is_symlink():
                value = f"link {path.readlink()}"
            elif path.is_dir():
                value = "directory"
            else:
                value = f"{kind} {hashlib.sha256(path.read_bytes()).hexdigest()}"
            yield str(path.relative_to(folder)), value


@dataclass(frozen=True)
class Actions:
    """How often actions were taken from a cache, and which were not."""

    hits: int
    executed: Counter[str]
    """Kind of action to how many of it were run."""

    def __str__(self) -> str:
        return f"{sum(self.executed.values())} run, {self.hits} from the cache"


def read_actions(log: Path) -> Actions:
    """Reads what `--execution_log_json_file` wrote."""
    text = log.read_text()
    decoder, position, hits, executed = json.JSONDecoder(), 0, 0, Counter[str]()
    while position < len(text):
        action, position = decoder.raw_decode(text, position)
        if action["cacheHit"]:
            hits += 1
        else:
            executed[f"{action['mnemonic']} of {action.get('targetLabel', '?')}"] += 1
        while position < len(text) and text[position].isspace():
            position += 1
    return Actions(hits, executed)

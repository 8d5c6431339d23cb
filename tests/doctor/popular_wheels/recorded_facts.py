"""The facts of wheels as text that a person can read, and small enough to keep: one wheel a line.

What the doctor reads of a file is its place, but where it is out of the ordinary, or two wheels have it: digests and
sizes of all others would be most of the text. Bytecode is left out: the build makes it.
"""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chassis.doctor.facts import Facts, LayerFacts, encode, read_facts
from chassis.oci.descriptor import LayerFile, Origin

_ORDINARY = 0o644


def write_record(layers: Sequence[LayerFacts]) -> str:
    """The facts of wheels' layers as text."""
    paths = Counter(file.path for layer in layers for file in _kept(layer))
    shared = {path for path, count in paths.items() if count > 1}
    lines = []
    for layer in layers:
        (facts,) = json.loads(encode(Facts((replace(layer, digest="", files=()),))))["layers"]
        ordinary: dict[str, list[str]] = {}
        special = []
        for file in _kept(layer):
            if file.type == "file" and file.mode == _ORDINARY and file.path not in shared:
                directory, name = posixpath.split(file.path)
                ordinary.setdefault(directory, []).append(name)
            elif file.type != "dir" or file.mode != 0o755:
                special.append([file.path, file.type, file.mode, file.size, file.digest, file.link])
        facts |= {"files": special, "ordinary": ordinary}
        lines.append(json.dumps({key: value for key, value in facts.items() if value}, separators=(",", ":")))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def read_record(text: str, scratch: Path) -> tuple[LayerFacts, ...]:
    """What `write_record` was given, but for what it leaves out; `scratch` is a directory for a file."""
    empty = json.loads(encode(Facts((LayerFacts("", Origin("wheel", "none")),))))
    (blank,) = empty["layers"]
    layers = [blank | {key: value for key, value in line.items() if key != "ordinary"} for line in json.loads(text)]
    for layer, line in zip(layers, json.loads(text), strict=True):
        layer["files"] = [*layer["files"], *_rows(line.get("ordinary", {}))]
    path = scratch / "facts.json"
    path.write_text(json.dumps({**empty, "layers": layers}))
    return read_facts(path).layers


def _kept(layer: LayerFacts) -> Iterable[LayerFile]:
    return (file for file in layer.files if "/__pycache__" not in file.path)


def _rows(ordinary: dict[str, list[str]]) -> list[list[Any]]:
    """The files, and the directories that they are in."""
    directories = {parent for directory in ordinary for parent in _parents(directory)}
    rows: list[list[Any]] = [[directory, "dir", 0o755, 0, "", ""] for directory in sorted(directories)]
    for directory, names in ordinary.items():
        rows += [[f"{directory}/{name}", "file", _ORDINARY, 1, f"of {directory}/{name}", ""] for name in names]
    return rows


def _parents(directory: str) -> Iterable[str]:
    while directory:
        yield directory
        directory = posixpath.dirname(directory)

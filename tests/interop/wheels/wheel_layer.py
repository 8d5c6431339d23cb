"""A real wheel's layer, made by the tool that the build's actions run, and what its three files say."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chassis.declaration.pythons import TOOLS_PYTHON

VENV = "opt/venv"
SITE = f"{VENV}/lib/python{TOOLS_PYTHON}/site-packages"
TOC_DIGEST = "containerd.io/snapshot/stargz/toc.digest"
# What a lazily pulling runtime hides, and another leaves in the root file system.
TABLE = "stargz.index.json"

_LIMIT_S = 600
_WHEELS = "CHECKED_WHEEL_"


@dataclass(frozen=True, slots=True)
class WheelLayer:
    """The blob, its descriptor, and its files by path."""

    wheel: Path
    blob: Path
    descriptor: dict
    files: dict[str, dict]


def wheels() -> dict[str, Path]:
    """The wheels to check, by distribution: those that the variables `CHECKED_WHEEL_…` name."""
    return {
        name.removeprefix(_WHEELS).lower(): Path(path) for name, path in os.environ.items() if name.startswith(_WHEELS)
    }


def make_layer(wheel: Path, out: Path, cpus: int = 0, umask: int = 0o022, **environment: str) -> WheelLayer:
    """Runs the tool on at most `cpus` processors (0: all there are) under that umask and environment."""
    out.mkdir(parents=True)

    def prepare() -> None:
        os.umask(umask)
        if cpus:
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cpus])

    outputs = [f"--blob={out}/blob", f"--descriptor={out}/descriptor", f"--files={out}/files"]
    subprocess.run(
        [os.environ["WHEEL_LAYER"], f"--wheel={wheel}", *outputs],
        check=True,
        env={"PATH": os.environ["PATH"]} | environment,
        preexec_fn=prepare,
        timeout=_LIMIT_S,
    )
    files = {file["path"]: file for file in json.loads((out / "files").read_bytes())}
    return WheelLayer(wheel, out / "blob", json.loads((out / "descriptor").read_bytes()), files)


def paths_below(root: Path) -> Iterator[tuple[str, Path]]:
    """Everything under a directory but directories, by its path from there."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            yield str(path.relative_to(root)), path

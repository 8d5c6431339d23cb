"""Models that tests package, and what is then called of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chassis.declaration.model import ModelMetadata
from chassis.packaging.packager import Model, PackagedModel, package_model


def package(
    root: Path,
    sources: Mapping[str, str],
    *,
    entry_point: str = "model:process",
    batch_size: int = 0,
    signature: str = "auto",
    loader: str | None = None,
    data: Mapping[str, bytes] | None = None,
    deps: Mapping[str, str] | None = None,
    import_paths: Sequence[Path] = (),
) -> PackagedModel:
    """Packages sources of the workspace package `ml`, with data and the sources of dependencies."""
    return package_model(
        Model(
            metadata=ModelMetadata(name="tested", batch_size=batch_size),
            entry_point=entry_point,
            pickle=None,
            package_dir="ml",
            sources={f"ml/{name}": written(root / "sources" / name, text.encode()) for name, text in sources.items()},
            data={key: written(root / "data" / key, content) for key, content in (data or {}).items()},
            import_paths=[written(root / "deps" / name, text.encode()).parent for name, text in (deps or {}).items()][
                :1
            ]
            + list(import_paths),
            signature=signature,
            loader=loader,
        ),
        timeout=60,
    )


def package_pickle(path: Path, **metadata: Any) -> PackagedModel:
    """Packages a ready pickle."""
    described = ModelMetadata(name="tested", **metadata)
    return package_model(Model(described, None, path, "", {}, {}, []), timeout=60)


def call(packaged: PackagedModel, root: Path, argument: str, *paths: Path) -> str:
    """Loads the pickle in a new interpreter, as an image would, and returns the repr of its result."""
    (root / "called.pkl").write_bytes(packaged.pickle)
    code = (
        "from chassis.runtime.core.loading import load_function; "
        f"print(repr(load_function('called.pkl', '')({argument})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={"PYTHONPATH": os.pathsep.join([*map(str, paths), *sys.path]), "CHASSIS_DATA": str(root / "data")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def written(path: Path, content: bytes) -> Path:
    """Writes a file, and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path

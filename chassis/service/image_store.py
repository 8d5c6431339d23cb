"""The images of finished jobs, kept so that they can be fetched after Bazel has built the next one."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from chassis.oci.archive import write_archive
from chassis.oci.layout_reader import INDEX_TYPES, LayoutReader


class ImageStore:
    """A directory of OCI layouts, one a job."""

    def __init__(self, root: Path) -> None:
        """Keeps images below `root`; how long they stay is the keeper's concern (retention.py)."""
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def keep(self, job_id: str, layout: Path) -> Path:
        """Takes a copy of `layout`, by hard links if that can be; returns the copy."""
        target = self._root / job_id
        staged = self._root / f".{job_id}"
        shutil.rmtree(staged, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
        for directory, _, names in os.walk(layout, followlinks=True):
            place = staged / Path(directory).relative_to(layout)
            place.mkdir(parents=True, exist_ok=True)
            for name in names:
                _link(Path(directory, name).resolve(), place / name)
        staged.replace(target)
        return target

    def find(self, job_id: str) -> Path | None:
        """The layout of a job's image; None if there is none, or no longer."""
        path = self._root / job_id
        return path if path.is_dir() else None

    def sizes(self, layout: Path) -> int:
        """Bytes of the blobs of a layout."""
        return sum(path.stat().st_size for path in layout.glob("blobs/sha256/*"))


def write_tar(layout: Path, name: str, stream: BinaryIO) -> None:
    """Writes a layout as an OCI archive; of a single image `docker load` takes it too."""
    reader = LayoutReader(layout)
    if reader.entry().media_type not in INDEX_TYPES:
        write_archive(reader, name, stream)
        return
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for path in _files(layout):
            info = tarfile.TarInfo(path.relative_to(layout).as_posix())
            info.size = path.stat().st_size
            info.mode = 0o644
            with path.open("rb") as file:
                archive.addfile(info, file)


def _files(layout: Path) -> Sequence[Path]:
    blobs = sorted(layout.glob("blobs/sha256/*"))
    return [layout / "oci-layout", layout / "index.json", *blobs]


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)

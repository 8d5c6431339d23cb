"""A tar to a directory tree, as images are unpacked for tests, against Python's own `tarfile`."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

from chassis.errors import ChassisError
from chassis.oci.file_tree import WHITEOUT, FileTree, remove_tree
from chassis.oci.tar_reader import TarReader
from tests.fuzz.findings import Finding, check_same, check_surroundings, prepare
from tests.fuzz.recipes import tar_of

_TYPES = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.LNKTYPE: "hardlink",
    tarfile.SYMTYPE: "symlink",
    tarfile.DIRTYPE: "dir",
    tarfile.CHRTYPE: "special",
    tarfile.BLKTYPE: "special",
    tarfile.FIFOTYPE: "special",
}

# An archive that has no file, and one whose last header is for all files that follow.
_AT_THE_END = ("empty file", "empty header", "end of file header")

Row = tuple[str, str, int, int, str, str]


def check(data: bytes, folder: Path) -> bool:
    """Runs one input in the new directory `folder`; returns whether the tar was unpacked.

    Raises:
      Finding: something happened that never must.
    """
    prepare(folder)
    root = folder / "root"
    root.mkdir()
    tar = tar_of(data)
    try:
        rows = _rows(tar)
    except ChassisError:
        rows = None
    tree = FileTree(root, lambda entry: (entry.mode & 0o777) | 0o700)
    reader = TarReader(io.BytesIO(tar), "layer")
    try:
        tree.start_layer()
        for entry in reader:
            tree.add(entry, reader.copy_to)
        tree.finish()
        unpacked = True
    except ChassisError:
        unpacked = False
    check_surroundings(folder, "root")
    if rows is None and unpacked:
        raise Finding("what the reader refuses was unpacked")
    if rows is not None:
        check_same("entries", _comparable(rows), _comparable(reference_rows(tar)))
        if unpacked:
            _check_tree(rows, root)
    remove_tree(root)
    return unpacked


def _rows(tar: bytes) -> list[Row]:
    reader = TarReader(io.BytesIO(tar), "layer")
    rows = []
    for entry in reader:
        state = hashlib.sha256()
        for piece in reader.pieces():
            state.update(piece)
        content = state.hexdigest() if entry.type == "file" else ""
        link = entry.link if entry.type in ("symlink", "hardlink") else ""
        rows.append((entry.path.rstrip("/"), entry.type, entry.mode, entry.size, link, content))
    return rows


def reference_rows(tar: bytes) -> list[Row]:
    """What `tarfile` finds in an archive.

    Raises:
      Finding: it cannot read what was read here.
    """
    rows = []
    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:", errors="surrogateescape") as archive:
            for member in archive:
                kind = _TYPES.get(member.type, "unknown")
                content = ""
                if kind == "file":
                    stream = archive.extractfile(member)
                    assert stream is not None
                    content = hashlib.sha256(stream.read()).hexdigest()
                size = member.size if kind == "file" else 0
                link = member.linkname if kind in ("symlink", "hardlink") else ""
                rows.append((member.name.rstrip("/"), kind, member.mode & 0o7777, size, link, content))
    except tarfile.ReadError as error:
        if str(error) not in _AT_THE_END:
            raise Finding(f"a tar was read that `tarfile` refuses: {error}") from error
    return rows


def _comparable(rows: list[Row]) -> list[Row]:
    """A file without content whose name ends in a slash is a directory, or not: tar's history has both."""
    return [(row[0], "empty", *row[2:5], "") if row[1] in ("file", "dir") and not row[3] else row for row in rows]


def _check_tree(rows: list[Row], root: Path) -> None:
    """Compares the files on disk if no link and no whiteout has a say: the last of a name stands."""
    if any(kind in ("symlink", "hardlink") or WHITEOUT in path for path, kind, *_ in rows):
        return
    expected: dict[str, str] = {}
    for path, kind, _, _, _, content in rows:
        name = os.path.normpath("/" + path).lstrip("/")
        if not name:
            continue
        for other in list(expected):  # a file gives way to a directory, a directory to a file, and both to a device
            below = other == name or other.startswith(f"{name}/")
            if (kind != "dir" and below) or name.startswith(f"{other}/") or (kind == "dir" and other == name):
                del expected[other]
        if kind == "file":
            expected[name] = content
    found = {}
    for place, _, names in os.walk(root):
        for name in names:
            path = Path(place, name)
            found[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
    check_same("files on disk", found, expected)

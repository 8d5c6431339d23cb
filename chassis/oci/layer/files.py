"""Files to layer: code, data and models, as a build lays them out for an action.

Such inputs are often symbolic links into a cache, of mode 0555 or 0755 whatever they are, so links are followed to
their content and modes are made anew (chassis/file_mode.py).
"""

from __future__ import annotations

import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chassis.file_mode import mode_of
from chassis.oci import digest
from chassis.oci.layer.bytecode import BytecodeCompiler, is_module
from chassis.oci.layer.error import LayerError
from chassis.oci.layer.writer import LayerWriter

_MIN_LINKED_BYTES = 4096
_MAX_DEPTH = 128


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, or a directory with all below it, and its path from the image's root."""

    destination: str
    source: Path


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link in the image."""

    destination: str
    target: str


@dataclass(frozen=True, slots=True)
class _Found:
    source: Path
    size: int


def add_files(
    writer: LayerWriter,
    entries: Iterable[Entry],
    links: Iterable[Link] = (),
    bytecode: BytecodeCompiler | None = None,
) -> None:
    """Adds entries and links in the order of their paths.

    Identical files of 4 KiB and more are written once, the others are hard links to the first. A path that
    two entries give with the same content is written once. With `bytecode`, each module brings its `.pyc` where the
    entries have none.

    Raises:
      LayerError: a source is missing or no file or directory; two contents meet at one path.
    """
    files: dict[str, _Found] = {}
    directories: set[str] = set()
    for entry in entries:
        for destination, found in _walk(entry.destination.strip("/"), entry.source, ()):
            if found is None:
                directories.add(destination)
            elif not _already(files, destination, found):
                files[destination] = found
    symlinks: dict[str, str] = {}
    for link in links:
        destination = link.destination.strip("/")
        if symlinks.setdefault(destination, link.target) != link.target:
            raise LayerError(f"{destination!r} is to link to both {symlinks[destination]!r} and {link.target!r}")
    originals = _duplicates(files)
    for destination in sorted(files.keys() | directories | symlinks.keys()):
        if destination in symlinks:
            writer.add_symlink(destination, symlinks[destination])
        if destination in files:
            _add_file(writer, destination, files[destination], originals.get(destination))
            if bytecode and is_module(destination, files[destination].size) and bytecode.path(destination) not in files:
                _add_bytecode(writer, bytecode.submit(destination, files[destination].source.read_bytes()))
        elif destination in directories:
            writer.add_directory(destination)
    if bytecode:
        _add_bytecode(writer, bytecode.drain())


def _add_bytecode(writer: LayerWriter, compiled: Iterable[tuple[str, bytes]]) -> None:
    for destination, data in compiled:
        writer.add_bytes(destination, data)


def _walk(destination: str, source: Path, above: tuple[str, ...]) -> Iterator[tuple[str, _Found | None]]:
    """Yields the files below `source`, and None for itself if it is a directory; `above` are the real paths to it.

    An empty directory further down is left out: a sandbox and a cache bring files alone to an action.
    """
    try:
        status = source.stat()
    except FileNotFoundError:
        broken = f": it is a link to {str(source.readlink())!r}, which does not exist" if source.is_symlink() else ""
        raise LayerError(f"{destination!r}: its source {source} is missing{broken}") from None
    except OSError as error:
        raise LayerError(f"{destination!r}: its source {source} cannot be read: {error.strerror}") from None
    if stat.S_ISREG(status.st_mode):
        yield destination, _Found(source, status.st_size)
        return
    if not stat.S_ISDIR(status.st_mode):
        raise LayerError(f"{destination!r}: its source {source} is neither a file nor a directory")
    real = str(source.resolve())
    if real in above or len(above) > _MAX_DEPTH:
        raise LayerError(f"{destination!r}: its source {source} leads back to a directory above it")
    if destination and not above:
        yield destination, None
    for child in sorted(source.iterdir()):
        name = f"{destination}/{child.name}" if destination else child.name
        yield from _walk(name, child, (*above, real))


def _already(files: dict[str, _Found], destination: str, found: _Found) -> bool:
    other = files.get(destination)
    if other is None:
        return False
    if other.source != found.source and (
        other.size != found.size or digest.of_file(other.source) != digest.of_file(found.source)
    ):
        raise LayerError(f"{destination!r} is to hold both {other.source} and {found.source}; rename one of them")
    return True


def _duplicates(files: dict[str, _Found]) -> dict[str, str]:
    """For each path whose content an earlier path has too, that earlier path."""
    by_size: defaultdict[int, list[str]] = defaultdict(list)
    for destination in sorted(files):
        if (size := files[destination].size) >= _MIN_LINKED_BYTES:
            by_size[size].append(destination)
    originals: dict[str, str] = {}
    for alike in by_size.values():
        if len(alike) > 1:
            first: dict[str, str] = {}
            for destination in alike:
                value, _ = digest.of_file(files[destination].source)
                if (original := first.setdefault(value, destination)) != destination:
                    originals[destination] = original
    return originals


def _add_file(writer: LayerWriter, destination: str, found: _Found, original: str | None) -> None:
    if original is not None:
        writer.add_hardlink(destination, original)
        return
    with found.source.open("rb") as stream:
        mode = mode_of(stream.read(4))
        stream.seek(0)
        writer.add_stream(destination, stream, found.size, mode)

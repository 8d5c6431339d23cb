"""The paths of an image as its layers leave them, with links resolved as the kernel would within that root.

Whiteouts: OCI image specification, layer.md, section "Whiteouts".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chassis.doctor.facts import LayerFacts
from chassis.oci.descriptor import LayerFile
from chassis.oci.layer.paths import OPAQUE, WHITEOUT

_MAX_LINKS = 40  # as Linux


@dataclass(frozen=True, slots=True)
class Placed:
    """A path with the layer that it comes from, by the layer's number."""

    layer: int
    file: LayerFile


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two layers that put different things at one path; `earlier` is hidden by `later`."""

    earlier: Placed
    later: Placed


class ImageTree:
    """Every path of an image."""

    def __init__(self, layers: Iterable[LayerFacts]) -> None:
        self.conflicts: list[Conflict] = []
        self._placed: dict[str, Placed] = {}
        self._directories: dict[str, str | None] = {"": ""}
        for number, layer in enumerate(layers):
            self._add(number, layer.files)

    def __iter__(self) -> Iterator[Placed]:
        return iter(self._placed.values())

    def at(self, path: str) -> Placed | None:
        """What is at a path as written, without following a link at its end or on its way."""
        return self._placed.get(path)

    def find(self, path: str) -> Placed | None:
        """What a path leads to, every link followed; None if that is nothing."""
        real = self.resolve(path)
        return self._placed.get(real) if real is not None else None

    def resolve(self, path: str) -> str | None:
        """The path without links that `path` leads to, hard links included; None if there is nothing."""
        real = self._walk(path.strip("/"), 0)
        placed = self._placed.get(real) if real else None
        if placed is not None and placed.file.type == "hardlink":
            return self._walk(placed.file.link.strip("/"), 0)
        return real

    def _walk(self, path: str, links: int) -> str | None:
        directory, _, name = path.rpartition("/")
        if not directory:
            where: str | None = ""
        elif directory in self._directories:
            where = self._directories[directory]
        else:
            where = self._directories[directory] = self._walk(directory, links)
        if where is None:
            return None
        if name in ("", "."):
            return where
        if name == "..":
            return where.rpartition("/")[0]
        full = f"{where}/{name}" if where else name
        placed = self._placed.get(full)
        if placed is None:
            return None
        if placed.file.type != "symlink":
            return full
        if links >= _MAX_LINKS:
            return None
        target = placed.file.link
        joined = target.strip("/") if target.startswith("/") else f"{where}/{target}".strip("/")
        return self._walk(joined, links + 1)

    def _add(self, number: int, files: tuple[LayerFile, ...]) -> None:
        hidden = [file.path for file in files if file.path.rpartition("/")[2].startswith(WHITEOUT)]
        for path in hidden:
            self._hide(path)
        digests = {file.path: file.digest for file in files}
        for file in files:
            name = file.path.rpartition("/")[2]
            if name.startswith(WHITEOUT):
                continue
            placed = Placed(number, file)
            earlier = self._placed.get(file.path)
            if earlier is not None and earlier.layer != number and _differs(earlier.file, file, digests):
                self.conflicts.append(Conflict(earlier, placed))
            self._add_parents(number, file.path)
            self._placed[file.path] = placed

    def _add_parents(self, number: int, path: str) -> None:
        """Archives of other tools may leave directories out."""
        while (path := path.rpartition("/")[0]) and path not in self._placed:
            self._placed[path] = Placed(number, LayerFile(path, "dir", 0o755))

    def _hide(self, path: str) -> None:
        directory, _, name = path.rpartition("/")
        if name == OPAQUE:
            prefix, own = f"{directory}/", ""
        else:
            own = f"{directory}/{name.removeprefix(WHITEOUT)}".lstrip("/")
            prefix = own + "/"
        for gone in [known for known in self._placed if known == own or known.startswith(prefix)]:
            del self._placed[gone]


def _differs(earlier: LayerFile, later: LayerFile, digests: dict[str, str]) -> bool:
    if earlier.type == "dir" and later.type == "dir":
        return False
    if later.type == "hardlink":
        return earlier.type not in ("file", "hardlink") or earlier.digest != digests.get(later.link, "")
    if earlier.type != later.type:
        return True
    return (earlier.digest, earlier.link) != (later.digest, later.link)

"""Builds a directory tree out of layers' entries without ever following a link that an archive brought.

The tree is kept in memory beside the disk: whether a path's parents are directories or links is looked up
there, and links among them are resolved within the root, as in a chroot. So what is handed to the kernel has
only real directories in it. Whiteouts: OCI image specification, layer.md, section "Whiteouts".
"""

# Tens of thousands of paths are made here: as plain strings, since pathlib would cost more than the kernel.
# ruff: noqa: PTH101, PTH102, PTH106, PTH108, PTH114, PTH115, PTH118, PTH211

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from chassis.errors import ChassisError
from chassis.oci.layer.paths import OPAQUE, WHITEOUT
from chassis.oci.tar_reader import DIRECTORY, FILE, HARDLINK, SYMLINK, TarEntry

_MAX_LINKS = 40  # as Linux
_MAX_COMPONENTS = 256


class UnpackError(ChassisError):
    """An entry of a layer cannot be put into the root file system safely, or the disk refuses it."""


@dataclass(slots=True)
class _Node:
    type: str
    layer: int
    link: str = ""
    mode: int = 0o755
    mtime: int = 0
    children: dict[str, _Node] = field(default_factory=dict)


class FileTree:
    """A tree under an empty directory that takes entries layer by layer."""

    def __init__(self, root: Path, mode_of: Callable[[TarEntry], int]) -> None:
        """`root` exists and is empty; `mode_of` gives the permission bits that an entry gets on disk."""
        self._root = os.fspath(root)
        self._mode_of = mode_of
        self._tree = _Node(DIRECTORY, -1)
        self._layer = -1

    def start_layer(self) -> None:
        """What follows belongs to the next layer: whiteouts in it hide only what came before."""
        self._layer += 1

    def add(self, entry: TarEntry, copy: Callable[[int], None]) -> None:
        """Puts one entry in place; `copy` writes its payload to a file descriptor.

        Raises:
          UnpackError: its path or link leaves the root, a hard link's target is missing, or the disk refuses
            it.
        """
        names = _components(entry.path)
        try:
            if not names:
                if entry.type == DIRECTORY:
                    self._tree.mode, self._tree.mtime = self._mode_of(entry), int(entry.mtime)
                return
            parent, where = self._directory(names[:-1], entry.path)
            name = names[-1]
            if name == OPAQUE:
                self._prune_children(parent, where)
            elif name.startswith(WHITEOUT):
                self._hide(parent, where, name.removeprefix(WHITEOUT), entry.path)
            else:
                self._place(parent, f"{where}/{name}", name, entry, copy)
        except OSError as error:
            raise UnpackError(f"{entry.path!r} cannot be unpacked: {error.strerror}") from None

    def finish(self) -> None:
        """Sets the directories' modes and times, which had to wait until their content was in place."""
        self._finish(self._tree, self._root)

    def _finish(self, node: _Node, where: str) -> None:
        stack = [(node, where)]
        done: list[tuple[_Node, str]] = []
        while stack:
            node, where = stack.pop()
            done.append((node, where))
            stack += [(child, f"{where}/{n}") for n, child in node.children.items() if child.type == DIRECTORY]
        for node, where in reversed(done):
            os.utime(where, (node.mtime, node.mtime))
            os.chmod(where, node.mode)

    def _directory(self, names: list[str], path: str) -> tuple[_Node, str]:
        """The directory that `names` lead to, links resolved within the root, what is missing made."""
        trail: list[str] = []
        node, where = self._tree, self._root
        pending, links = names[::-1], 0
        stack: list[_Node] = []
        while pending:
            name = pending.pop()
            if name == "..":  # of a link's target only; above the root is the root, as in a chroot
                if stack:
                    node = stack.pop()
                    trail.pop()
                continue
            child = node.children.get(name)
            if child is not None and child.type == SYMLINK:
                links += 1
                if links > _MAX_LINKS:
                    raise UnpackError(f"{path!r} goes through more than {_MAX_LINKS} symbolic links")
                if child.link.startswith("/"):
                    node, trail, stack = self._tree, [], []
                pending += _link_components(child.link, path)[::-1]
                if len(pending) > _MAX_COMPONENTS:
                    raise UnpackError(f"{path!r} is nested more than {_MAX_COMPONENTS} deep through links")
                continue
            if child is None or child.type != DIRECTORY:
                place = "/".join([self._root, *trail, name])
                if child is not None:
                    self._remove(node, name, place)
                os.mkdir(place, 0o700)
                child = node.children[name] = _Node(DIRECTORY, self._layer)
            stack.append(node)
            trail.append(name)
            node = child
            if len(trail) > _MAX_COMPONENTS:
                raise UnpackError(f"{path!r} is nested more than {_MAX_COMPONENTS} deep")
        if trail:
            where = "/".join([self._root, *trail])
        return node, where

    def _place(self, parent: _Node, place: str, name: str, entry: TarEntry, copy: Callable[[int], None]) -> None:
        existing = parent.children.get(name)
        if entry.type == DIRECTORY:
            if existing is None or existing.type != DIRECTORY:
                if existing is not None:
                    self._remove(parent, name, place)
                os.mkdir(place, 0o700)
                existing = parent.children[name] = _Node(DIRECTORY, self._layer)
            existing.layer, existing.mode, existing.mtime = (
                self._layer,
                self._mode_of(entry),
                int(entry.mtime),
            )
            return
        source = self._hardlink_source(entry) if entry.type == HARDLINK else ""
        if source == place:
            return
        if existing is not None:
            self._remove(parent, name, place)
        if entry.type == SYMLINK:
            if not entry.link:
                raise UnpackError(f"{entry.path!r} is a symbolic link to nothing")
            os.symlink(entry.link, place)
            parent.children[name] = _Node(SYMLINK, self._layer, entry.link)
        elif entry.type == HARDLINK:
            os.link(source, place, follow_symlinks=False)
            parent.children[name] = _Node(FILE, self._layer)
        elif entry.type == FILE:
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                copy(descriptor)
                os.utime(descriptor, (entry.mtime, entry.mtime))
                os.fchmod(descriptor, self._mode_of(entry))
            finally:
                os.close(descriptor)
            parent.children[name] = _Node(FILE, self._layer)
        # Devices and pipes cannot be made without privileges; a container's runtime brings its own /dev.

    def _hardlink_source(self, entry: TarEntry) -> str:
        names = _components(entry.link)
        if names:
            parent, where = self._directory(names[:-1], entry.link)
            target = parent.children.get(names[-1])
            if target is not None and target.type == FILE:
                return f"{where}/{names[-1]}"
        raise UnpackError(f"{entry.path!r} is a hard link to {entry.link!r}, which is not a file of the image")

    def _hide(self, parent: _Node, where: str, name: str, path: str) -> None:
        if name in ("", ".", ".."):
            raise UnpackError(f"{path!r} is not a valid whiteout")
        child = parent.children.get(name)
        if child is not None:
            self._prune(parent, name, child, f"{where}/{name}")

    def _prune_children(self, node: _Node, where: str) -> None:
        for name, child in list(node.children.items()):
            self._prune(node, name, child, f"{where}/{name}")

    def _prune(self, parent: _Node, name: str, child: _Node, place: str) -> None:
        """Removes what lower layers brought; what this layer brought stays, whatever the order in the
        archive."""
        if child.type == DIRECTORY:
            self._prune_children(child, place)
            if child.children or child.layer == self._layer:
                return
        if child.layer < self._layer:
            self._remove(parent, name, place)

    def _remove(self, parent: _Node, name: str, place: str) -> None:
        node = parent.children.pop(name)
        if node.type != DIRECTORY:
            os.unlink(place)
            return
        for child in list(node.children):
            self._remove(node, child, f"{place}/{child}")
        os.rmdir(place)


def _components(path: str) -> list[str]:
    names = [name for name in path.split("/") if name not in ("", ".")]
    if ".." in names:
        raise UnpackError(f"{path!r} climbs with `..`; a layer's names must stay below its root")
    if len(names) > _MAX_COMPONENTS:
        raise UnpackError(f"{path[:80]!r}… is nested more than {_MAX_COMPONENTS} deep")
    return names


def _link_components(link: str, path: str) -> list[str]:
    names = [name for name in link.split("/") if name not in ("", ".")]
    if not names and not link.startswith("/"):
        raise UnpackError(f"{path!r} goes through a symbolic link to {link!r}")
    return names


def resolve_within(root: Path, path: str) -> str:
    """The absolute path *in the image* that `path` names once every link is resolved, the last one too.

    Links are read from the unpacked tree and never followed out of it.

    Raises:
      UnpackError: there is no such file, or links go in a circle.
    """
    trail: list[str] = []
    pending, links = [name for name in path.split("/") if name not in ("", ".")][::-1], 0
    while pending:
        name = pending.pop()
        if name == "..":
            del trail[-1:]
            continue
        place = os.path.join(root, *trail, name)
        if os.path.islink(place):
            links += 1
            if links > _MAX_LINKS:
                raise UnpackError(f"{path!r}: symbolic links in the image go in a circle")
            link = os.readlink(place)
            trail = [] if link.startswith("/") else trail
            pending += [part for part in link.split("/") if part not in ("", ".")][::-1]
        elif os.path.lexists(place):
            trail.append(name)
        else:
            raise UnpackError(f"{path!r} is not in the image: there is no {'/'.join(['', *trail, name])}")
    return "/" + "/".join(trail)


def remove_tree(path: Path) -> None:
    """Removes a tree whatever the modes of its directories; links are removed, not followed."""
    if not os.path.lexists(path):
        return
    for folder, names, _ in os.walk(path, topdown=True, onerror=None):
        os.chmod(folder, 0o700)
        for name in names:
            inner = os.path.join(folder, name)
            if not os.path.islink(inner):
                os.chmod(inner, 0o700)
    shutil.rmtree(path)
